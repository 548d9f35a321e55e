package scim

import (
	"fmt"
	"net/http"
	"strconv"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/usergroup"
	"github.com/cardea/cardea/ent/usergroupmember"
	"github.com/cardea/cardea/typeid"
)

// groupAttributes are those that groups can be filtered by.
func (d *directory) groupAttributes() attributes {
	return attributes{
		one: map[string]attribute{
			"id":                identifier(usergroup.FieldID, typeid.Parse[typeid.UserGroup]),
			"externalid":        exact(usergroup.FieldExternalID),
			"displayname":       text(usergroup.FieldName),
			"schemas":           constant(groupSchema),
			"meta.resourcetype": constant("Group"),
			"meta.created":      instant(usergroup.FieldCreatedAt),
			"meta.lastmodified": instant(usergroup.FieldUpdatedAt),
		},
		many: map[string]values{"members": {parts: memberAttributes, some: d.hasMember}},
	}
}

var memberAttributes = attributes{one: map[string]attribute{
	"value": identifier(usergroupmember.FieldUserID, typeid.Parse[typeid.User]),
	"type":  constant("User"),
}}

// hasMember is true of groups somebody is in, or is going to be, of whose membership one is true.
func (d *directory) hasMember(one condition) condition {
	return func(q *sql.Selector) *sql.Predicate {
		m := sql.Table(usergroupmember.Table)
		who := sql.Dialect(q.Dialect()).Select(m.C(usergroupmember.FieldID)).From(m)
		who.Where(sql.ColumnsEQ(m.C(usergroupmember.FieldOrgID), q.C(usergroup.FieldOrgID))).
			Where(sql.ColumnsEQ(m.C(usergroupmember.FieldUserGroupID), q.C(usergroup.FieldID))).
			Where(one(who))
		access.InGroupAt(d.now())(who)
		access.KnownToDirectories(who)
		return sql.Exists(who)
	}
}

func (d *directory) readGroups(r *http.Request) (*ent.UserGroupQuery, error) {
	if err := access.AuthorizeAll(r.Context(), access.ReadGroups); err != nil {
		return nil, err
	}
	visible, err := d.access.VisibleUserGroups(r.Context())
	return d.db.UserGroup.Query().Where(visible), err
}

func (d *directory) listGroups(r *http.Request) (*reply, error) {
	q, err := d.readGroups(r)
	if err != nil {
		return nil, err
	}
	asked, err := questionOf(r)
	if err != nil {
		return nil, err
	}
	if asked.filter != nil {
		where, err := d.groupAttributes().where(asked.filter)
		if err != nil {
			return nil, err
		}
		q.Where(selecting(where))
	}
	total, err := q.Clone().Count(r.Context())
	if err != nil {
		return nil, fmt.Errorf("count groups: %w", err)
	}
	groups, err := q.Order(usergroup.ByID()).Where(asked.page).All(r.Context())
	if err != nil {
		return nil, fmt.Errorf("read groups: %w", err)
	}
	items, err := d.groups(r.Context(), d.db, asked.shape, groups...)
	if err != nil {
		return nil, err
	}
	return asked.answer(total, items), nil
}

func (d *directory) getGroup(r *http.Request) (*reply, error) {
	q, err := d.readGroups(r)
	if err != nil {
		return nil, err
	}
	id, err := groupID(r)
	if err != nil {
		return nil, err
	}
	g, err := q.Where(usergroup.ID(id)).Only(r.Context())
	if ent.IsNotFound(err) {
		return nil, notFound()
	}
	if err != nil {
		return nil, fmt.Errorf("read group: %w", err)
	}
	return d.showGroup(r, http.StatusOK, g)
}

func (d *directory) createGroup(r *http.Request) (*reply, error) {
	var body groupBody
	if err := readBody(r, groupSchema, &body); err != nil {
		return nil, err
	}
	p, err := body.provisioned()
	if err != nil {
		return nil, err
	}
	g, err := d.access.ProvisionUserGroup(r.Context(), p)
	if err != nil {
		return nil, err
	}
	made, err := d.showGroup(r, http.StatusCreated, g)
	if err == nil {
		made.location = d.at("/Groups/", g.ID)
	}
	return made, err
}

func (d *directory) putGroup(r *http.Request) (*reply, error) {
	var body groupBody
	if err := readBody(r, groupSchema, &body); err != nil {
		return nil, err
	}
	p, err := body.provisioned()
	if err != nil {
		return nil, err
	}
	p.Members.Only = true
	g, err := d.editGroup(r, func(*ent.UserGroup) (access.ProvisionedGroup, error) { return p, nil })
	if err != nil {
		return nil, err
	}
	return d.showGroup(r, http.StatusOK, g)
}

// patchGroup answers with nothing, unless attributes are asked for: a group may be large.
func (d *directory) patchGroup(r *http.Request) (*reply, error) {
	operations, err := readPatch(r)
	if err != nil {
		return nil, err
	}
	g, err := d.editGroup(r, func(g *ent.UserGroup) (access.ProvisionedGroup, error) {
		draft := groupDraft{name: g.Name, externalID: given(g.ExternalID)}
		err := patch(operations, draft.apply)
		return draft.provisioned(), err
	})
	if err != nil {
		return nil, err
	}
	if r.URL.Query().Has("attributes") {
		return d.showGroup(r, http.StatusOK, g)
	}
	return &reply{status: http.StatusNoContent}, nil
}

func (d *directory) editGroup(
	r *http.Request, edit func(*ent.UserGroup) (access.ProvisionedGroup, error),
) (*ent.UserGroup, error) {
	id, err := groupID(r)
	if err != nil {
		return nil, err
	}
	return d.access.ReprovisionUserGroup(r.Context(), id,
		func(db *ent.Client, g *ent.UserGroup) (access.ProvisionedGroup, error) {
			if err := d.unchangedGroup(r, db, g); err != nil {
				return access.ProvisionedGroup{}, err
			}
			return edit(g)
		})
}

func (d *directory) deleteGroup(r *http.Request) (*reply, error) {
	id, err := groupID(r)
	if err != nil {
		return nil, err
	}
	err = d.access.DeprovisionUserGroup(r.Context(), id, func(db *ent.Client, g *ent.UserGroup) error {
		return d.unchangedGroup(r, db, g)
	})
	if err != nil {
		return nil, err
	}
	return &reply{status: http.StatusNoContent}, nil
}

// unchangedGroup is unchanged for a group that is locked.
func (d *directory) unchangedGroup(r *http.Request, db *ent.Client, g *ent.UserGroup) error {
	if r.Header.Get("If-Match") == "" {
		return nil
	}
	counted, err := d.count(r.Context(), db, g)
	if err != nil {
		return err
	}
	return unchanged(r, counted[g.ID].version(g))
}

func groupID(r *http.Request) (typeid.UserGroup, error) {
	id, err := typeid.Parse[typeid.UserGroup](r.PathValue("id"))
	if err != nil {
		err = notFound()
	}
	return id, err
}

func (d *directory) showGroup(r *http.Request, status int, g *ent.UserGroup) (*reply, error) {
	shape := shapeAsked(r)
	shown, err := d.groups(r.Context(), d.db, shape, g)
	if err != nil {
		return nil, err
	}
	version, _ := shown[0]["meta"].(resource)["version"].(string)
	shape.cut(shown[0])
	return &reply{status: status, body: shown[0], version: version}, nil
}

// membership is how many are in a group, and a sum that changes with who they are.
type membership struct {
	Group typeid.UserGroup `sql:"user_group_id"`
	Count int              `sql:"count"`
	Sum   int64            `sql:"sum"`
}

func (m membership) version(g *ent.UserGroup) string {
	return versionOf(g.UpdatedAt, strconv.Itoa(m.Count), strconv.FormatInt(m.Sum, 36))
}
