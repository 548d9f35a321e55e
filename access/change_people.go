package access

import (
	"maps"
	"slices"

	"github.com/lib/pq"

	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/typeid"
)

// What changes of people and their groups bear on, and what they do to facts.

func (UpdateUserInput) right() Action { return WriteUsers }

func (in UpdateUserInput) bearing() bearing {
	b := bearing{names: []subject{named("user", "users", "id", in.ID)}, gives: true}
	if in.Status != nil {
		b.keys, b.people = `k.shared_by_id = ANY ($2)`, itself
		b.opens, b.doors = keysOfUser, doorsUnlocked
	}
	return b
}

func (in UpdateUserInput) apply(f *verdict.Facts) {
	f.People = slices.Clone(f.People)
	for i, p := range f.People {
		if p.ID == in.ID && in.Status != nil {
			f.People[i].Suspended = *in.Status != user.StatusACTIVE
		}
	}
}

func (DeleteUserInput) right() Action { return WriteUsers }
func (DeleteUserInput) check() error  { return nil }

func (in DeleteUserInput) bearing() bearing {
	return bearing{names: []subject{named("user", "users", "id", in.ID)},
		keys: `k.user_id = ANY ($2) OR k.shared_by_id = ANY ($2)`, people: itself,
		opens: keysOfUser, doors: doorsUnlocked}
}

func (in DeleteUserInput) apply(f *verdict.Facts) {
	f.People = slices.DeleteFunc(slices.Clone(f.People),
		func(p verdict.Person) bool { return p.ID == in.ID })
	f.Members = slices.DeleteFunc(slices.Clone(f.Members),
		func(m verdict.Member) bool { return m.User == in.ID })
	f.Keys = without(f.Keys,
		func(k verdict.Key) bool { return k.User == in.ID || k.SharedBy == in.ID })
}

func (DeleteUserGroupInput) right() Action { return WriteGroups }
func (DeleteUserGroupInput) check() error  { return nil }

func (in DeleteUserGroupInput) bearing() bearing {
	return bearing{
		names: []subject{named("group", "user_groups", "id", in.ID)},
		keys: `k.user_group_id = ANY ($2) OR k.shared_by_id IN (` + membersOfGroup + `) AND ` +
			sharedFromGroup,
		people: membersOfGroup, opens: keysOfGroup,
	}
}

func (in DeleteUserGroupInput) apply(f *verdict.Facts) {
	f.Members = slices.DeleteFunc(slices.Clone(f.Members),
		func(m verdict.Member) bool { return m.Group == in.ID })
	f.Keys = without(f.Keys, func(k verdict.Key) bool { return k.Group == in.ID })
	f.UserParents = maps.Clone(f.UserParents)
	delete(f.UserParents, in.ID)
}

func (UpdateUserGroupInput) right() Action { return WriteGroups }

func (in UpdateUserGroupInput) check() error {
	var f faults
	f.optionalText("name", in.Name, 200)
	f.parent(in.ParentID != nil, in.ParentID != nil && *in.ParentID == in.ID, orZero(in.ClearParent))
	return f.err()
}

func (in UpdateUserGroupInput) bearing() bearing {
	b := bearing{names: []subject{named("group", "user_groups", "id", in.ID)}, gives: true}
	if in.ParentID != nil {
		b.names = append(b.names, named("group", "user_groups", "parentId", *in.ParentID))
		b.joins = []string{text(*in.ParentID)}
		b.listed = pq.Array(b.joins)
	} else if !orZero(in.ClearParent) {
		return b
	}
	b.keys = `k.shared_by_id IN (` + membersOfGroup + `) AND (` + sharedFromGroup + ` OR ` +
		sharedFromWhole + `)`
	b.people, b.opens = membersOfGroup, keysOfGroup+` OR `+keysOfWhole
	return b
}

func (in UpdateUserGroupInput) apply(f *verdict.Facts) {
	f.UserParents = maps.Clone(f.UserParents)
	switch {
	case in.ParentID != nil:
		f.UserParents[in.ID] = *in.ParentID
	case orZero(in.ClearParent):
		delete(f.UserParents, in.ID)
	}
}

func (RemoveUserGroupMembersInput) right() Action { return WriteGroups }

func (in RemoveUserGroupMembersInput) check() error {
	_, f := distinct("userIds", in.UserIDs)
	return f.err()
}

func (in RemoveUserGroupMembersInput) bearing() bearing {
	return bearing{
		names: []subject{
			named("group", "user_groups", "userGroupId", in.UserGroupID),
			listed("user", "users", "userIds", in.UserIDs),
		},
		listed: pq.Array(in.UserIDs),
		keys:   `k.shared_by_id = ANY ($3) AND ` + sharedFromGroup,
		people: membersOfGroup + ` AND m.user_id = ANY ($3)`,
		opens:  keysOfGroup,
	}
}

func (in RemoveUserGroupMembersInput) apply(f *verdict.Facts) {
	leaves := make(map[typeid.User]bool, len(in.UserIDs))
	for _, id := range in.UserIDs {
		leaves[id] = true
	}
	f.Members = slices.DeleteFunc(slices.Clone(f.Members), func(m verdict.Member) bool {
		return m.Group == in.UserGroupID && leaves[m.User]
	})
}
