package graph

import (
	"context"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/ent/doorgroup"
	"github.com/cardea/cardea/ent/doorgroupdoor"
	"github.com/cardea/cardea/ent/key"
	"github.com/cardea/cardea/ent/usergroup"
	"github.com/cardea/cardea/ent/usergroupmember"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/typeid"
)

// The loaders from and to groups.

func (r *resolver) groupsOfUsers(
	ctx context.Context, asked nested[typeid.User], of []typeid.User,
) (map[typeid.User]*shape.UserGroupConnection, error) {
	q, err := r.readUserGroups(ctx)
	if err != nil {
		return nil, err
	}
	return paginateEach(ctx, userGroups, asked.page, q, of, hasMember)
}

func (r *resolver) partsOfUserGroups(
	ctx context.Context, asked nested[typeid.UserGroup], of []typeid.UserGroup,
) (map[typeid.UserGroup]*shape.UserGroupConnection, error) {
	q, err := r.readUserGroups(ctx)
	if err != nil {
		return nil, err
	}
	return paginateEach(ctx, userGroups, asked.page, q, of, childOf(usergroup.FieldParentID))
}

func (r *resolver) membersOfUserGroups(
	ctx context.Context, asked nested[typeid.UserGroup], of []typeid.UserGroup,
) (map[typeid.UserGroup]*shape.UserGroupMemberConnection, error) {
	q, err := r.readUserGroupMembers(ctx)
	if err != nil {
		return nil, err
	}
	return paginateEach(ctx, userGroupMembers, asked.page, q, of,
		childOf(usergroupmember.FieldUserGroupID))
}

func (r *resolver) keysOfUserGroups(
	ctx context.Context, asked nested[typeid.UserGroup], of []typeid.UserGroup,
) (map[typeid.UserGroup]*shape.KeyConnection, error) {
	q, err := r.readKeys(ctx)
	if err != nil {
		return nil, err
	}
	return paginateEach(ctx, keys, asked.page, q, of, childOf(key.FieldUserGroupID))
}

func (r *resolver) groupsOfDoors(
	ctx context.Context, asked nested[typeid.Door], of []typeid.Door,
) (map[typeid.Door]*shape.DoorGroupConnection, error) {
	q, err := r.readDoorGroups(ctx)
	if err != nil {
		return nil, err
	}
	return paginateEach(ctx, doorGroups, asked.page, q, of, holdsDoor)
}

func (r *resolver) doorGroupsOfKeys(
	ctx context.Context, asked nested[typeid.Key], of []typeid.Key,
) (map[typeid.Key]*shape.DoorGroupConnection, error) {
	q, err := r.readDoorGroups(ctx)
	if err != nil {
		return nil, err
	}
	return paginateEach(ctx, doorGroups, asked.page, q, of, namedBy)
}

// namedBy is true of groups of doors that a key is for.
func namedBy(s *sql.Selector, of operand) *sql.Predicate {
	id := s.C(doorgroup.FieldID)
	return sql.P(func(b *sql.Builder) {
		b.Ident(id).WriteString(
			" IN (SELECT via.door_group_id FROM key_targets AS via WHERE via.key_id = ")
		of(b)
		b.WriteByte(')')
	})
}

func (r *resolver) partsOfDoorGroups(
	ctx context.Context, asked nested[typeid.DoorGroup], of []typeid.DoorGroup,
) (map[typeid.DoorGroup]*shape.DoorGroupConnection, error) {
	q, err := r.readDoorGroups(ctx)
	if err != nil {
		return nil, err
	}
	return paginateEach(ctx, doorGroups, asked.page, q, of, childOf(doorgroup.FieldParentID))
}

func (r *resolver) doorsOfDoorGroups(
	ctx context.Context, asked nested[typeid.DoorGroup], of []typeid.DoorGroup,
) (map[typeid.DoorGroup]*shape.DoorGroupDoorConnection, error) {
	q, err := r.readDoorGroupDoors(ctx)
	if err != nil {
		return nil, err
	}
	return paginateEach(ctx, doorGroupDoors, asked.page, q, of,
		childOf(doorgroupdoor.FieldDoorGroupID))
}

func (r *resolver) keysOfDoorGroups(
	ctx context.Context, asked nested[typeid.DoorGroup], of []typeid.DoorGroup,
) (map[typeid.DoorGroup]*shape.KeyConnection, error) {
	q, err := r.readKeys(ctx)
	if err != nil {
		return nil, err
	}
	return paginateEach(ctx, keys, asked.page, q, of, namesGroup)
}

// hasMember is true of groups that a person is in directly.
func hasMember(s *sql.Selector, of operand) *sql.Predicate {
	return linked(s, usergroup.FieldID, `SELECT via.user_group_id FROM user_group_members AS via
		WHERE via.user_id = `, of)
}

// holdsDoor is true of groups that a door is in directly.
func holdsDoor(s *sql.Selector, of operand) *sql.Predicate {
	return linked(s, doorgroup.FieldID, `SELECT via.door_group_id FROM door_group_doors AS via
		WHERE via.door_id = `, of)
}

// namesGroup is true of keys that name a group of doors.
func namesGroup(s *sql.Selector, of operand) *sql.Predicate {
	return linked(s, key.FieldID, `SELECT via.key_id FROM key_targets AS via
		WHERE via.target = `, of)
}

// linked is true of rows whose column is what a table, called via, links to a parent.
func linked(s *sql.Selector, column, query string, of operand) *sql.Predicate {
	column, org := s.C(column), s.C("org_id")
	return sql.P(func(b *sql.Builder) {
		b.Ident(column).WriteString(" IN (" + query)
		of(b)
		b.WriteString(" AND via.org_id = ").Ident(org).WriteByte(')')
	})
}
