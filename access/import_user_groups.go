package access

import (
	"context"
	"fmt"
	"time"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/ent/usergroup"
	"github.com/cardea/cardea/ent/usergroupmember"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// UserGroupRow is one person of a group as a file describes it, or a group alone.
type UserGroupRow struct {
	Line       int
	Group      string     // the name
	Parent     string     // the name of the group that it is part of; said when it is made
	Email      string     // "": the row is about the group alone
	ValidFrom  *time.Time // of the membership
	ValidUntil *time.Time
	Windows    bool // whether the file says anything of windows; else those that there are stay
}

// ImportUserGroups makes groups, and has people be in them. Nobody is removed from any.
func (s *Service) ImportUserGroups(
	ctx context.Context, rows []UserGroupRow, dryRun bool,
) (*ImportReport, error) {
	if err := authorizeEach(ctx, WriteGroups, ReadUsers); err != nil {
		return nil, err
	}
	return s.importAll(ctx, "user-groups", dryRun, &groupImport{rows: rows})
}

type groupImport struct {
	rows    []UserGroupRow
	groups  map[string]*ent.UserGroup // by name; those to be made have no identifier yet
	parents map[string]string         // of those to be made
	order   []string                  // of those to be made, wholes before parts
	people  map[string]typeid.User
	members map[membership]*ent.UserGroupMember
	moves   []UserGroupRow // memberships to record
}

type membership struct {
	group typeid.UserGroup
	user  typeid.User
}

func (in *groupImport) size() int { return len(in.rows) }

func (in *groupImport) plan(ctx context.Context, tx *ent.Tx) (*ImportReport, error) {
	if err := in.load(ctx, tx); err != nil {
		return nil, err
	}
	in.parents, in.order, in.moves = map[string]string{}, nil, nil
	said := map[[2]string]int{}
	report := &ImportReport{Rows: make([]ImportedRow, len(in.rows))}
	for i, row := range in.rows {
		var f faults
		effect := in.group(&f, row)
		if line, ok := said[[2]string{row.Group, normalEmail(row.Email)}]; ok {
			f.refuse(CodeConflict, "email", fmt.Sprintf("line %d says it too", line))
		}
		said[[2]string{row.Group, normalEmail(row.Email)}] = row.Line
		if row.Email != "" {
			effect = in.member(&f, row, effect)
		}
		report.Rows[i] = ImportedRow{row.Line, effect, nil}
		if len(f.found) > 0 {
			report.Rows[i] = ImportedRow{row.Line, "", f.found}
		}
	}
	return report, nil
}

// load reads and locks what the rows name.
func (in *groupImport) load(ctx context.Context, tx *ent.Tx) error {
	var names, emails []string
	for _, row := range in.rows {
		names, emails = append(names, row.Group, row.Parent), append(emails, normalEmail(row.Email))
	}
	groups, err := tx.UserGroup.Query().Where(forChange, whose(usergroup.FieldName, names)).
		Order(usergroup.ByID()).All(ctx)
	if err != nil {
		return fmt.Errorf("load groups: %w", err)
	}
	people, err := tx.User.Query().Where(forChange, whose(user.FieldEmail, emails)).
		Order(user.ByID()).All(ctx)
	if err != nil {
		return fmt.Errorf("load people: %w", err)
	}
	in.groups, in.people = map[string]*ent.UserGroup{}, map[string]typeid.User{}
	ids := make([]typeid.UserGroup, len(groups))
	for i, g := range groups {
		in.groups[g.Name], ids[i] = g, g.ID
	}
	for _, u := range people {
		in.people[*u.Email] = u.ID
	}
	rows, err := tx.UserGroupMember.Query().Where(whose(usergroupmember.FieldUserGroupID, ids)).All(ctx)
	if err != nil {
		return fmt.Errorf("load members: %w", err)
	}
	in.members = make(map[membership]*ent.UserGroupMember, len(rows))
	for _, m := range rows {
		in.members[membership{m.UserGroupID, m.UserID}] = m
	}
	return nil
}

// group plans the group of a row, if it is to be made.
func (in *groupImport) group(f *faults, row UserGroupRow) ImportEffect {
	g, known := in.groups[row.Group]
	if !known {
		f.text("group", row.Group, 200)
		in.whole(f, row)
		in.groups[row.Group] = &ent.UserGroup{Name: row.Group}
		in.parents[row.Group] = row.Parent
		in.order = append(in.order, row.Group)
		return ImportCreate
	}
	if row.Parent != "" && !in.isPart(g, row.Parent) {
		f.add("parent", "what a group is part of is not changed by an import")
	}
	return ImportUnchanged
}

// isPart says whether a group is part of the one with a name, or will be when it is made.
func (in *groupImport) isPart(g *ent.UserGroup, of string) bool {
	if g.ID.IsZero() {
		return in.parents[g.Name] == of
	}
	whole, known := in.groups[of]
	return known && g.ParentID != nil && *g.ParentID == whole.ID
}

// whole checks what a group that is to be made will be part of.
func (in *groupImport) whole(f *faults, row UserGroupRow) {
	if row.Parent == "" {
		return
	}
	parent, ok := in.groups[row.Parent]
	switch {
	case !ok:
		f.refuse(CodeNotFound, "parent", "no such group before this line")
	case parent.ParentID != nil || in.parents[row.Parent] != "":
		f.refuse(CodeConflict, "parent", errParentIsPart.Message)
	}
}

// member plans the membership of a row.
func (in *groupImport) member(f *faults, row UserGroupRow, group ImportEffect) ImportEffect {
	id, ok := in.people[normalEmail(row.Email)]
	if !ok {
		f.refuse(CodeNotFound, "email", "no such user")
		return ""
	}
	if row.ValidFrom != nil && row.ValidUntil != nil && !row.ValidFrom.Before(*row.ValidUntil) {
		f.add("validUntil", "must be after validFrom")
	}
	g := in.groups[row.Group]
	is := in.members[membership{g.ID, id}]
	switch {
	case g.ID.IsZero() || is == nil:
		group = ImportCreate
	case !row.Windows || sameInstant(is.ValidFrom, row.ValidFrom) && sameInstant(is.ValidUntil, row.ValidUntil):
		return group
	default:
		group = ImportUpdate
	}
	in.moves = append(in.moves, row)
	return group
}

func (in *groupImport) apply(
	ctx context.Context, _ *Service, tx *ent.Tx,
) (events []journal.Event, err error) {
	groups := make([]*ent.UserGroupCreate, len(in.order))
	for i, name := range in.order {
		g := in.groups[name]
		g.ID = typeid.New[typeid.UserGroup]()
		if parent := in.parents[name]; parent != "" {
			g.ParentID = &in.groups[parent].ID // of an earlier line
		}
		groups[i] = tx.UserGroup.Create().SetID(g.ID).SetName(name).SetNillableParentID(g.ParentID)
		events = append(events, journal.Event{Type: "user_group.created", Data: data("groupId", g.ID)})
	}
	err = saved(groups, func(some ...*ent.UserGroupCreate) error {
		return tx.UserGroup.CreateBulk(some...).Exec(ctx)
	})
	if err != nil {
		return nil, err
	}
	var old []typeid.UserGroupMember
	members := make([]*ent.UserGroupMemberCreate, len(in.moves))
	for i, row := range in.moves {
		g, who := in.groups[row.Group], in.people[normalEmail(row.Email)]
		if is := in.members[membership{g.ID, who}]; is != nil {
			old = append(old, is.ID)
		}
		members[i] = tx.UserGroupMember.Create().SetUserGroupID(g.ID).SetUserID(who).
			SetNillableValidFrom(row.ValidFrom).SetNillableValidUntil(row.ValidUntil)
		events = append(events, memberEvents("user_group.member_added", g.ID, []typeid.User{who})...)
	}
	_, err = tx.UserGroupMember.Delete().Where(whose(usergroupmember.FieldID, old)).Exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("replace members: %w", err)
	}
	return events, saved(members, func(some ...*ent.UserGroupMemberCreate) error {
		return tx.UserGroupMember.CreateBulk(some...).Exec(ctx)
	})
}
