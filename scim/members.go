package scim

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"entgo.io/ent/dialect/sql"
	"github.com/lib/pq"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/predicate"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/ent/usergroupmember"
	"github.com/cardea/cardea/typeid"
)

// maxMembers bounds how many members one page of groups holds: a page ends before the group that would
// exceed it, unless that is its first.
const maxMembers = 20_000

// groups are groups as a directory sees them; their members are read only if they are wanted.
func (d *directory) groups(
	ctx context.Context, db *ent.Client, wanted shape, groups ...*ent.UserGroup,
) ([]resource, error) {
	counted, err := d.count(ctx, db, groups...)
	if err != nil {
		return nil, err
	}
	members := map[typeid.UserGroup][]resource{}
	if wanted.wants("members") {
		groups = within(groups, counted)
		if members, err = d.members(ctx, db, groups); err != nil {
			return nil, err
		}
	}
	shown := make([]resource, len(groups))
	for i, g := range groups {
		version := counted[g.ID].version(g)
		shown[i] = resource{
			"schemas": []string{groupSchema}, "id": g.ID, "displayName": g.Name,
			"members": append([]resource{}, members[g.ID]...),
			"meta":    metaOf("Group", g.CreatedAt, g.UpdatedAt, version, d.at("/Groups/", g.ID)),
		}
		if g.ExternalID != nil {
			shown[i]["externalId"] = *g.ExternalID
		}
	}
	return shown, nil
}

// within is the beginning of some groups that has no more than maxMembers.
func within(groups []*ent.UserGroup, counted map[typeid.UserGroup]membership) []*ent.UserGroup {
	sum := 0
	for i, g := range groups {
		if sum += counted[g.ID].Count; sum > maxMembers && i > 0 {
			return groups[:i]
		}
	}
	return groups
}

// count counts the members of groups.
func (d *directory) count(
	ctx context.Context, db *ent.Client, groups ...*ent.UserGroup,
) (map[typeid.UserGroup]membership, error) {
	var rows []membership
	err := db.UserGroupMember.Query().Where(ofGroups(groups), access.InGroupAt(d.now()),
		access.KnownToDirectories).
		Modify(func(q *sql.Selector) {
			q.Select(q.C(usergroupmember.FieldUserGroupID), sql.As("count(*)", "count"),
				sql.As("bit_xor(hashtextextended("+q.C(usergroupmember.FieldID)+"::text, 0))", "sum")).
				GroupBy(q.C(usergroupmember.FieldUserGroupID))
		}).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("count members: %w", err)
	}
	counted := make(map[typeid.UserGroup]membership, len(rows))
	for _, row := range rows {
		counted[row.Group] = row
	}
	return counted, nil
}

// members are those of groups, by identifier.
func (d *directory) members(
	ctx context.Context, db *ent.Client, groups []*ent.UserGroup,
) (map[typeid.UserGroup][]resource, error) {
	var rows []struct {
		Group typeid.UserGroup `sql:"user_group_id"`
		User  typeid.User      `sql:"user_id"`
		Name  string           `sql:"name"`
	}
	err := db.UserGroupMember.Query().Where(ofGroups(groups), access.InGroupAt(d.now())).
		Modify(func(q *sql.Selector) {
			u := sql.Table(user.Table)
			q.Join(u).On(q.C(usergroupmember.FieldUserID), u.C(user.FieldID))
			q.Where(sql.NotNull(u.C(user.FieldEmail)))
			q.Select(q.C(usergroupmember.FieldUserGroupID), q.C(usergroupmember.FieldUserID),
				u.C(user.FieldName)).OrderBy(q.C(usergroupmember.FieldUserID))
		}).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("read members: %w", err)
	}
	members := map[typeid.UserGroup][]resource{}
	for _, row := range rows {
		members[row.Group] = append(members[row.Group], resource{
			"value": row.User, "display": row.Name, "type": "User", "$ref": d.at("/Users/", row.User),
		})
	}
	return members, nil
}

func ofGroups(groups []*ent.UserGroup) predicate.UserGroupMember {
	ids := make([]typeid.UserGroup, len(groups))
	for i, g := range groups {
		ids[i] = g.ID
	}
	return func(q *sql.Selector) {
		q.Where(sql.P(func(b *sql.Builder) {
			b.Ident(q.C(usergroupmember.FieldUserGroupID)).WriteString(" = ANY (").Arg(pq.Array(ids)).
				WriteByte(')')
		}))
	}
}

// selecting makes a predicate of a condition.
func selecting(where condition) func(*sql.Selector) {
	return func(q *sql.Selector) { q.Where(where(q)) }
}

// groupBody is a group as a directory sends it.
type groupBody struct {
	ExternalID  *string
	DisplayName *string
	Members     []member
}

type member struct {
	Value string
	Type  string
}

func (b *groupBody) provisioned() (access.ProvisionedGroup, error) {
	draft := groupDraft{name: given(b.DisplayName), externalID: given(b.ExternalID)}
	err := draft.join(b.Members)
	return draft.provisioned(), err
}

// groupDraft is a group while a request is worked through.
type groupDraft struct {
	name, externalID string
	members          access.ProvisionedMembers
}

func (g *groupDraft) provisioned() access.ProvisionedGroup {
	return access.ProvisionedGroup{ExternalID: optional(g.externalID), Name: g.name, Members: g.members}
}

// apply makes one operation of PATCH.
func (g *groupDraft) apply(verb string, to path, value json.RawMessage) error {
	switch to.attribute {
	case "displayname":
		return required(&g.name, verb, value)
	case "externalid":
		return written(&g.externalID, verb, value)
	case "members":
		return g.applyMembers(verb, to, value)
	}
	return beyond(to.attribute, "id", "meta", "schemas")
}

func (g *groupDraft) applyMembers(verb string, to path, value json.RawMessage) error {
	if to.which != nil {
		if verb != "remove" || to.part != "" {
			return noTarget()
		}
		return g.leaveWhich(to.which)
	}
	if verb == "remove" && (len(value) == 0 || string(value) == "null") {
		g.members = access.ProvisionedMembers{Only: true}
		return nil
	}
	var some []member
	if err := decodeList(value, &some); err != nil {
		return err
	}
	switch verb {
	case "remove": // Entra names who leaves in the value
		g.leave(some)
		return nil
	case "replace":
		g.members = access.ProvisionedMembers{Only: true}
	}
	return g.join(some)
}

// leaveWhich removes whom a filter names: value eq "…", and several of these with or.
func (g *groupDraft) leaveWhich(e *expression) error {
	name, isText := e.value.(string)
	switch {
	case e.verb == "or":
		for _, inside := range e.inside {
			if err := g.leaveWhich(inside); err != nil {
				return err
			}
		}
		return nil
	case e.verb == "eq" && e.attribute == "value" && isText:
		g.leave([]member{{Value: name}})
		return nil
	}
	return invalidFilter("members are chosen by value eq")
}

// join adds people; the last word on somebody counts.
func (g *groupDraft) join(some []member) error {
	ids := make([]typeid.User, len(some))
	for i, m := range some {
		if m.Type != "" && !strings.EqualFold(m.Type, "User") {
			return invalidValue("members are of type User: groups of groups are made in Cardea")
		}
		id, err := typeid.Parse[typeid.User](m.Value)
		if err != nil {
			return invalidValue("members: no such user: " + clip(m.Value))
		}
		ids[i] = id
	}
	g.members.Remove = except(g.members.Remove, ids)
	g.members.Add = append(g.members.Add, ids...)
	return nil
}

// leave removes people. Who is nobody here is not in the group either.
func (g *groupDraft) leave(some []member) {
	var ids []typeid.User
	for _, m := range some {
		if id, err := typeid.Parse[typeid.User](m.Value); err == nil {
			ids = append(ids, id)
		}
	}
	g.members.Add = except(g.members.Add, ids)
	g.members.Remove = append(g.members.Remove, ids...)
}

func except(ids, gone []typeid.User) (left []typeid.User) {
	out := make(map[typeid.User]bool, len(gone))
	for _, id := range gone {
		out[id] = true
	}
	for _, id := range ids {
		if !out[id] {
			left = append(left, id)
		}
	}
	return left
}
