package access

import (
	"context"
	"fmt"
	"slices"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/ent/usergroup"
	"github.com/cardea/cardea/ent/usergroupmember"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// maxMembers is how many people, or doors, join or leave a group at once.
const maxMembers = 500

// CreateUserGroupInput describes a new group of people.
type CreateUserGroupInput struct {
	Name     string
	ParentID *typeid.UserGroup // nil: part of none
}

// CreateUserGroupPayload holds the new group.
type CreateUserGroupPayload struct{ UserGroup *ent.UserGroup }

// CreateUserGroup makes a group of people. Names are unique in the organization.
func (s *Service) CreateUserGroup(
	ctx context.Context, in CreateUserGroupInput,
) (*CreateUserGroupPayload, error) {
	if err := Authorize(ctx, WriteGroups); err != nil {
		return nil, err
	}
	var f faults
	f.text("name", in.Name, 200)
	if err := f.err(); err != nil {
		return nil, err
	}
	var g *ent.UserGroup
	err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		if in.ParentID != nil {
			if _, err := holdUserParent(ctx, tx, *in.ParentID); err != nil {
				return nil, err
			}
		}
		g, err = tx.UserGroup.Create().SetName(in.Name).SetNillableParentID(in.ParentID).Save(ctx)
		if err != nil {
			return nil, err
		}
		return []journal.Event{{Type: "user_group.created", Data: data("groupId", g.ID)}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &CreateUserGroupPayload{g}, nil
}

// UpdateUserGroupInput changes what it holds and leaves the rest.
type UpdateUserGroupInput struct {
	ID                typeid.UserGroup
	Name              *string
	ParentID          *typeid.UserGroup
	ClearParent       *bool
	ConfirmationToken *string `json:"-"`
}

// UpdateUserGroupPayload holds the group as it is now.
type UpdateUserGroupPayload struct{ UserGroup *ent.UserGroup }

// UpdateUserGroup changes a group of people. Groups nest one level deep.
func (s *Service) UpdateUserGroup(
	ctx context.Context, in UpdateUserGroupInput,
) (*UpdateUserGroupPayload, error) {
	if err := Authorize(ctx, WriteGroups); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	var g *ent.UserGroup
	err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		if err := s.confirm(ctx, tx, in, in.ConfirmationToken); err != nil {
			return nil, err
		}
		if err := in.nest(ctx, tx); err != nil {
			return nil, err
		}
		update := tx.UserGroup.UpdateOneID(in.ID).SetNillableName(in.Name).
			SetNillableParentID(in.ParentID)
		if orZero(in.ClearParent) {
			update.ClearParentID()
		}
		change := changes(update.Mutation())
		if g, err = update.Save(ctx); err != nil {
			return nil, found(err, "group", "id")
		}
		return []journal.Event{{Type: "user_group.updated",
			Data: dataOf(map[string]any{"groupId": g.ID, "changed": change})}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &UpdateUserGroupPayload{g}, nil
}

// nest fails unless the group may become part of the parent. Both are locked, the one that comes
// first by identifier first, so what is true of them stays true: two changes at once cannot build
// two levels. Whoever the old parent's keys are taken from is locked too.
func (in UpdateUserGroupInput) nest(ctx context.Context, tx *ent.Tx) error {
	if in.ParentID == nil && !orZero(in.ClearParent) {
		return nil
	}
	ids := []typeid.UserGroup{in.ID}
	if in.ParentID != nil {
		ids = append(ids, *in.ParentID)
	}
	held, err := tx.UserGroup.Query().Where(usergroup.IDIn(ids...), forChange).
		Order(usergroup.ByID()).All(ctx)
	if err != nil {
		return fmt.Errorf("lock groups: %w", err)
	}
	at := func(id typeid.UserGroup) int {
		return slices.IndexFunc(held, func(g *ent.UserGroup) bool { return g.ID == id })
	}
	own := at(in.ID)
	switch {
	case own < 0:
		return notFound("group", "id")
	case in.ParentID == nil:
	case at(*in.ParentID) < 0:
		return notFound("group", "parentId")
	case held[at(*in.ParentID)].ParentID != nil:
		return errParentIsPart
	default:
		parts, err := tx.UserGroup.Query().Where(usergroup.ParentID(in.ID)).Count(ctx)
		if err != nil {
			return fmt.Errorf("look for parts: %w", err)
		}
		if parts > 0 {
			return errHasParts
		}
	}
	if held[own].ParentID == nil {
		return nil
	}
	return holdMembers(ctx, tx, in.ID)
}

// errParentIsPart and errHasParts keep groups one level deep.
var (
	errParentIsPart = Error{CodeConflict, "the parent is part of a group itself", "parentId"}
	errHasParts     = Error{CodeConflict, "a group with parts cannot become a part", "parentId"}
)

// parent checks what an update says of a group's parent.
func (f *faults) parent(given, self, unset bool) {
	switch {
	case self:
		f.add("parentId", "a group is not part of itself")
	case given && unset:
		f.add("clearParent", "give either parentId or clearParent")
	}
}

// holdUserParent locks a group that another is about to become part of.
func holdUserParent(
	ctx context.Context, tx *ent.Tx, id typeid.UserGroup,
) (*ent.UserGroup, error) {
	g, err := holdUserGroup(ctx, tx, id, "parentId")
	if err == nil && g.ParentID != nil {
		err = errParentIsPart
	}
	return g, err
}

// holdUserGroup locks a group: nobody else changes who is in it or what it is part of.
func holdUserGroup(
	ctx context.Context, tx *ent.Tx, id typeid.UserGroup, field string,
) (*ent.UserGroup, error) {
	g, err := tx.UserGroup.Query().Where(usergroup.ID(id), forChange).Only(ctx)
	return g, found(err, "group", field)
}

// holdMembers locks the people in a group, as holdUsers does.
func holdMembers(ctx context.Context, tx *ent.Tx, id typeid.UserGroup) error {
	_, err := tx.User.Query().Where(forChange, func(q *sql.Selector) {
		m := sql.Table(usergroupmember.Table)
		q.Where(sql.In(q.C(user.FieldID), sql.Select(m.C(usergroupmember.FieldUserID)).From(m).
			Where(sql.EQ(m.C(usergroupmember.FieldUserGroupID), id))))
	}).Order(user.ByID()).All(ctx)
	if err != nil {
		return fmt.Errorf("lock members: %w", err)
	}
	return nil
}

// holdUsers locks people whose rights are about to change: an unlock of theirs is decided before
// the change's commit or by what is true after it, so that none is recorded behind it that it
// forbids.
func holdUsers(ctx context.Context, tx *ent.Tx, ids []typeid.User) error {
	people, err := tx.User.Query().Where(forChange, whose(user.FieldID, ids)).Order(user.ByID()).
		All(ctx)
	if err != nil {
		return fmt.Errorf("lock people: %w", err)
	}
	if len(people) != len(ids) {
		return notFound("user", "userIds")
	}
	return nil
}

// DeleteUserGroupInput names a group of people.
type DeleteUserGroupInput struct {
	ID                typeid.UserGroup
	ConfirmationToken *string `json:"-"`
}

// DeleteUserGroupPayload names the group that was.
type DeleteUserGroupPayload struct{ DeletedID typeid.UserGroup }

// DeleteUserGroup deletes a group of people that has no parts. Its keys, and what was shared from
// them, go with it, and the journal says so of each that was still valid.
func (s *Service) DeleteUserGroup(
	ctx context.Context, in DeleteUserGroupInput,
) (*DeleteUserGroupPayload, error) {
	if err := Authorize(ctx, WriteGroups); err != nil {
		return nil, err
	}
	err := s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		if err := s.confirm(ctx, tx, in, in.ConfirmationToken); err != nil {
			return nil, err
		}
		g, err := tx.UserGroup.Query().Where(usergroup.ID(in.ID)).ForUpdate().Only(ctx)
		if err != nil {
			return nil, found(err, "group", "id")
		}
		return s.deleteUserGroup(ctx, tx, g)
	})
	if err != nil {
		return nil, err
	}
	return &DeleteUserGroupPayload{in.ID}, nil
}

// AddUserGroupMembersInput names people and when they are in a group.
type AddUserGroupMembersInput struct {
	UserGroupID typeid.UserGroup
	UserIDs     []typeid.User
	ValidFrom   *time.Time // nil: at once
	ValidUntil  *time.Time // nil: for good
}

// AddUserGroupMembersPayload holds the group.
type AddUserGroupMembersPayload struct{ UserGroup *ent.UserGroup }

// AddUserGroupMembers adds people to a group. The window takes the place of the one of those who are
// in it; who has the same already is not told of.
func (s *Service) AddUserGroupMembers(
	ctx context.Context, in AddUserGroupMembersInput,
) (*AddUserGroupMembersPayload, error) {
	if err := Authorize(ctx, WriteGroups); err != nil {
		return nil, err
	}
	ids, f := distinct("userIds", in.UserIDs)
	f.window(in.ValidFrom, in.ValidUntil)
	if err := f.err(); err != nil {
		return nil, err
	}
	var g *ent.UserGroup
	err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		if g, err = holdUserGroup(ctx, tx, in.UserGroupID, "userGroupId"); err != nil {
			return nil, err
		}
		if err := holdUsers(ctx, tx, ids); err != nil {
			return nil, err
		}
		joining, err := in.replace(ctx, tx, ids)
		if err != nil || len(joining) == 0 {
			return nil, err
		}
		return memberEvents("user_group.member_added", g.ID, joining), nil
	})
	if err != nil {
		return nil, err
	}
	return &AddUserGroupMembersPayload{g}, nil
}

// replace records the window of those who do not have it, and returns them.
func (in AddUserGroupMembersInput) replace(
	ctx context.Context, tx *ent.Tx, ids []typeid.User,
) ([]typeid.User, error) {
	now, err := tx.UserGroupMember.Query().Where(ofUserGroup(in.UserGroupID, ids)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load members: %w", err)
	}
	same := map[typeid.User]bool{}
	for _, m := range now {
		same[m.UserID] = sameInstant(m.ValidFrom, in.ValidFrom) &&
			sameInstant(m.ValidUntil, in.ValidUntil)
	}
	joining := slices.DeleteFunc(slices.Clone(ids), func(id typeid.User) bool { return same[id] })
	if len(joining) == 0 {
		return nil, nil
	}
	_, err = tx.UserGroupMember.Delete().Where(ofUserGroup(in.UserGroupID, joining)).Exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("replace members: %w", err)
	}
	members := make([]*ent.UserGroupMemberCreate, len(joining))
	for i, id := range joining {
		members[i] = tx.UserGroupMember.Create().SetUserGroupID(in.UserGroupID).SetUserID(id).
			SetNillableValidFrom(in.ValidFrom).SetNillableValidUntil(in.ValidUntil)
	}
	return joining, tx.UserGroupMember.CreateBulk(members...).Exec(ctx)
}

// RemoveUserGroupMembersInput names people who leave a group.
type RemoveUserGroupMembersInput struct {
	UserGroupID typeid.UserGroup
	UserIDs     []typeid.User

	ConfirmationToken *string `json:"-"`
}

// RemoveUserGroupMembersPayload holds the group.
type RemoveUserGroupMembersPayload struct{ UserGroup *ent.UserGroup }

// RemoveUserGroupMembers removes people from a group. To remove who is not in it is no error.
func (s *Service) RemoveUserGroupMembers(
	ctx context.Context, in RemoveUserGroupMembersInput,
) (*RemoveUserGroupMembersPayload, error) {
	if err := Authorize(ctx, WriteGroups); err != nil {
		return nil, err
	}
	ids, f := distinct("userIds", in.UserIDs)
	if err := f.err(); err != nil {
		return nil, err
	}
	var g *ent.UserGroup
	err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		if err := s.confirm(ctx, tx, in, in.ConfirmationToken); err != nil {
			return nil, err
		}
		if g, err = holdUserGroup(ctx, tx, in.UserGroupID, "userGroupId"); err != nil {
			return nil, err
		}
		if err := holdUsers(ctx, tx, ids); err != nil {
			return nil, err
		}
		there, err := tx.UserGroupMember.Query().Where(ofUserGroup(g.ID, ids)).
			Order(usergroupmember.ByUserID()).All(ctx)
		if err != nil {
			return nil, fmt.Errorf("load members: %w", err)
		}
		if _, err := tx.UserGroupMember.Delete().Where(ofUserGroup(g.ID, ids)).Exec(ctx); err != nil {
			return nil, fmt.Errorf("remove members: %w", err)
		}
		leaving := make([]typeid.User, len(there))
		for i, m := range there {
			leaving[i] = m.UserID
		}
		return memberEvents("user_group.member_removed", g.ID, leaving), nil
	})
	if err != nil {
		return nil, err
	}
	return &RemoveUserGroupMembersPayload{g}, nil
}

// ofUserGroup is true of the memberships of some people in a group.
func ofUserGroup(id typeid.UserGroup, people []typeid.User) func(*sql.Selector) {
	return func(q *sql.Selector) {
		q.Where(sql.EQ(q.C(usergroupmember.FieldUserGroupID), id)).
			Where(anyOf(q.C(usergroupmember.FieldUserID), people))
	}
}

// memberEvents tell of each person by themselves: a webhook or a live connection of one of them
// need not read a list.
func memberEvents(kind string, id typeid.UserGroup, people []typeid.User) []journal.Event {
	events := make([]journal.Event, len(people))
	for i, u := range people {
		events[i] = journal.Event{Type: kind, User: u, Data: data("groupId", id)}
	}
	return events
}
