package access

import (
	"context"
	"fmt"
	"slices"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/key"
	"github.com/cardea/cardea/ent/predicate"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/ent/usergroup"
	"github.com/cardea/cardea/ent/usergroupmember"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// ProvisionedGroup is a group of people as a directory describes it.
type ProvisionedGroup struct {
	ExternalID *string // what the directory calls it; unique in the organization
	Name       string
	Members    ProvisionedMembers
}

// ProvisionedMembers is a change of who is in a group. Whoever joins is in it for good, and to remove who
// is not in it is no error.
type ProvisionedMembers struct {
	Only   bool // whoever is not in Add leaves
	Add    []typeid.User
	Remove []typeid.User
}

// maxProvisionedMembers is how many people join or leave a group at once at the word of a directory.
const maxProvisionedMembers = 20_000

// memberRows is how many one statement inserts: Postgres takes 65,535 arguments.
const memberRows = 1000

func (p ProvisionedGroup) check() error {
	var f faults
	f.text("name", p.Name, 200)
	f.optionalText("externalId", p.ExternalID, 200)
	if len(p.Members.Add)+len(p.Members.Remove) > maxProvisionedMembers {
		f.add("members", "at most %d at once", maxProvisionedMembers)
	}
	return f.err()
}

// ProvisionUserGroup makes a group of people.
func (s *Service) ProvisionUserGroup(
	ctx context.Context, p ProvisionedGroup,
) (*ent.UserGroup, error) {
	if err := Authorize(ctx, WriteGroups); err != nil {
		return nil, err
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	var g *ent.UserGroup
	err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		g, err = tx.UserGroup.Create().SetName(p.Name).SetNillableExternalID(p.ExternalID).Save(ctx)
		if err != nil {
			return nil, err
		}
		events, err := p.Members.settle(ctx, tx, g.ID)
		created := journal.Event{Type: "user_group.created", Data: data("groupId", g.ID)}
		return append([]journal.Event{created}, events...), err
	})
	if err != nil {
		return nil, err
	}
	return g, nil
}

// ReprovisionUserGroup has a group be as edit says, which is given it as it is, and the database as it
// is: nobody changes the group meanwhile, and nothing has happened if edit fails. It may be called
// again. What is the same already is not told of.
func (s *Service) ReprovisionUserGroup(
	ctx context.Context, id typeid.UserGroup,
	edit func(*ent.Client, *ent.UserGroup) (ProvisionedGroup, error),
) (*ent.UserGroup, error) {
	if err := Authorize(ctx, WriteGroups); err != nil {
		return nil, err
	}
	var g *ent.UserGroup
	err := s.write(ctx, func(tx *ent.Tx) (events []journal.Event, err error) {
		if g, err = holdUserGroup(ctx, tx, id, "id"); err != nil {
			return nil, err
		}
		p, err := edit(tx.Client(), g)
		if err != nil {
			return nil, err
		}
		if err := p.check(); err != nil {
			return nil, err
		}
		update := tx.UserGroup.UpdateOne(g)
		if p.Name != g.Name {
			update.SetName(p.Name)
		}
		replace(g.ExternalID, p.ExternalID, update.SetExternalID, update.ClearExternalID)
		if change := changes(update.Mutation()); len(change) > 0 {
			if g, err = update.Save(ctx); err != nil {
				return nil, err
			}
			events = append(events, journal.Event{Type: "user_group.updated",
				Data: dataOf(map[string]any{"groupId": g.ID, "changed": change})})
		}
		moved, err := p.Members.settle(ctx, tx, g.ID)
		return append(events, moved...), err
	})
	if err != nil {
		return nil, err
	}
	return g, nil
}

// DeprovisionUserGroup deletes a group as DeleteUserGroup does, if check has nothing against it.
func (s *Service) DeprovisionUserGroup(
	ctx context.Context, id typeid.UserGroup, check func(*ent.Client, *ent.UserGroup) error,
) error {
	if err := Authorize(ctx, WriteGroups); err != nil {
		return err
	}
	return s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		g, err := tx.UserGroup.Query().Where(usergroup.ID(id)).ForUpdate().Only(ctx)
		if err != nil {
			return nil, found(err, "group", "id")
		}
		if err := check(tx.Client(), g); err != nil {
			return nil, err
		}
		return s.deleteUserGroup(ctx, tx, g)
	})
}

// deleteUserGroup deletes a group that is locked.
func (s *Service) deleteUserGroup(
	ctx context.Context, tx *ent.Tx, g *ent.UserGroup,
) ([]journal.Event, error) {
	if err := holdMembers(ctx, tx, g.ID); err != nil {
		return nil, err
	}
	events, err := s.endAll(ctx, tx, key.UserGroupID(g.ID))
	if err != nil {
		return nil, err
	}
	if err := tx.UserGroup.DeleteOne(g).Exec(ctx); err != nil {
		return nil, err
	}
	return append(events,
		journal.Event{Type: "user_group.deleted", Data: data("groupId", g.ID)}), nil
}

// settle makes the change, in a group that is locked. The people whom it concerns are locked too, as
// holdUsers does.
func (m ProvisionedMembers) settle(
	ctx context.Context, tx *ent.Tx, id typeid.UserGroup,
) ([]journal.Event, error) {
	add, remove := onceEach(m.Add), onceEach(m.Remove)
	if !m.Only && len(add)+len(remove) == 0 {
		return nil, nil
	}
	q := tx.UserGroupMember.Query().Where(usergroupmember.UserGroupID(id), KnownToDirectories)
	if !m.Only {
		q.Where(ofPeople(slices.Concat(add, remove)))
	}
	rows, err := q.Order(usergroupmember.ByUserID()).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load members: %w", err)
	}
	joining, leaving := m.moves(rows, add, remove)
	if err := holdMoved(ctx, tx, joining, leaving); err != nil {
		return nil, err
	}
	gone := slices.Concat(joining, leaving) // who joins may have been in it for a time
	if len(gone) > 0 {
		_, err = tx.UserGroupMember.Delete().
			Where(usergroupmember.UserGroupID(id), ofPeople(gone)).Exec(ctx)
		if err != nil {
			return nil, fmt.Errorf("remove members: %w", err)
		}
	}
	for some := range slices.Chunk(joining, memberRows) {
		created := make([]*ent.UserGroupMemberCreate, len(some))
		for i, u := range some {
			created[i] = tx.UserGroupMember.Create().SetUserGroupID(id).SetUserID(u)
		}
		if err := tx.UserGroupMember.CreateBulk(created...).Exec(ctx); err != nil {
			return nil, fmt.Errorf("add members: %w", err)
		}
	}
	return append(memberEvents("user_group.member_added", id, joining),
		memberEvents("user_group.member_removed", id, leaving)...), nil
}

// moves are who joins and who leaves, given the memberships that there are.
func (m ProvisionedMembers) moves(
	rows []*ent.UserGroupMember, add, remove []typeid.User,
) (joining, leaving []typeid.User) {
	wanted, gone := setOf(add), setOf(remove)
	for _, row := range rows {
		switch {
		case wanted[row.UserID]:
			if row.ValidFrom == nil && row.ValidUntil == nil {
				delete(wanted, row.UserID) // in it for good already
			}
		case m.Only || gone[row.UserID]:
			leaving = append(leaving, row.UserID)
		}
	}
	for _, id := range add {
		if wanted[id] {
			joining = append(joining, id)
		}
	}
	return joining, leaving
}

// holdMoved locks who joins and who leaves. Who joins has to be there, and to be somebody whom a
// directory can know.
func holdMoved(ctx context.Context, tx *ent.Tx, joining, leaving []typeid.User) error {
	if len(joining)+len(leaving) == 0 {
		return nil
	}
	people, err := tx.User.Query().
		Where(forChange, whose(user.FieldID, slices.Concat(joining, leaving))).Order(user.ByID()).All(ctx)
	if err != nil {
		return fmt.Errorf("lock people: %w", err)
	}
	there := map[typeid.User]bool{}
	for _, u := range people {
		there[u.ID] = u.Email != nil
	}
	for _, id := range joining {
		if !there[id] {
			return Errors{{CodeBadUserInput, "no such user: " + id.String(), "members"}}
		}
	}
	return nil
}

func ofPeople(ids []typeid.User) predicate.UserGroupMember {
	return whose(usergroupmember.FieldUserID, ids)
}

// InGroupAt is true of memberships that have not ended by then: who is in a group, or is going to be.
func InGroupAt(at time.Time) predicate.UserGroupMember {
	return usergroupmember.Or(usergroupmember.ValidUntilIsNil(), usergroupmember.ValidUntilGT(at))
}

// KnownToDirectories is true of memberships of people with an e-mail address. Who has none is a guest,
// whom no directory knows, and none throws out.
func KnownToDirectories(q *sql.Selector) {
	u := sql.Table(user.Table)
	q.Where(sql.Exists(sql.Dialect(q.Dialect()).Select(u.C(user.FieldID)).From(u).Where(sql.And(
		sql.ColumnsEQ(u.C(user.FieldID), q.C(usergroupmember.FieldUserID)),
		sql.NotNull(u.C(user.FieldEmail))))))
}

func setOf[K comparable](keys []K) map[K]bool {
	set := make(map[K]bool, len(keys))
	for _, k := range keys {
		set[k] = true
	}
	return set
}
