package access

import (
	"github.com/lib/pq"

	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

// AccessChangeInput is exactly one change of access, as the mutation of the same name takes it. Any
// confirmation token in it counts for nothing.
type AccessChangeInput struct {
	RevokeKey              *RevokeKeyInput
	SuspendKey             *SuspendKeyInput
	UpdateKey              *UpdateKeyInput
	UpdateUser             *UpdateUserInput
	DeleteUser             *DeleteUserInput
	DeleteUserGroup        *DeleteUserGroupInput
	UpdateUserGroup        *UpdateUserGroupInput
	RemoveUserGroupMembers *RemoveUserGroupMembersInput
	DeleteDoorGroup        *DeleteDoorGroupInput
	UpdateDoorGroup        *UpdateDoorGroupInput
	RemoveDoorGroupDoors   *RemoveDoorGroupDoorsInput
	UpdateSchedule         *UpdateScheduleInput
	ImportSchedule         *ImportScheduleInput // into a schedule that exists
	UpdateDoor             *UpdateDoorInput
	DeleteDoor             *DeleteDoorInput
}

// one is the change that is given, and its name.
func (in AccessChangeInput) one() (one any, name string, err error) {
	given := 0
	for as, c := range map[string]any{
		"revokeKey": whole(in.RevokeKey), "suspendKey": whole(in.SuspendKey),
		"updateKey": whole(in.UpdateKey), "updateUser": whole(in.UpdateUser),
		"deleteUser": whole(in.DeleteUser), "deleteUserGroup": whole(in.DeleteUserGroup),
		"updateUserGroup": whole(in.UpdateUserGroup), "updateDoorGroup": whole(in.UpdateDoorGroup),
		"removeUserGroupMembers": whole(in.RemoveUserGroupMembers),
		"deleteDoorGroup":        whole(in.DeleteDoorGroup),
		"removeDoorGroupDoors":   whole(in.RemoveDoorGroupDoors),
		"updateSchedule":         whole(in.UpdateSchedule),
		"importSchedule":         whole(in.ImportSchedule),
		"updateDoor":             whole(in.UpdateDoor), "deleteDoor": whole(in.DeleteDoor),
	} {
		if c != nil {
			one, name, given = c, as, given+1
		}
	}
	if given != 1 {
		return nil, "", Errors{{CodeBadUserInput, "give exactly one change", "change"}}
	}
	return one, name, nil
}

// whole is what is given, or nil.
func whole[C any](c *C) any {
	if c == nil {
		return nil
	}
	return *c
}

// change is the input of a mutation that can take access away from many.
type change interface {
	right() Action // that it takes
	check() error  // of what is wrong with the input by itself
	bearing() bearing
	// apply makes the change in facts: they decide from then on as they would after the mutation, but
	// for schedules, whose new windows the bearing has. It leaves lists and maps as they are, and puts
	// others in their place.
	apply(f *verdict.Facts)
}

// bearing is whom and what a change may bear on: perhaps more than it does, and never less. Each
// text is SQL in which $1 is the organization, $2 an array of what is named first, and $3 one of
// what is named besides; "" is none.
type bearing struct {
	names  []subject // what has to exist
	listed any       // $3
	// keys is true of keys k whose holders, and those of all that was shared from them, it bears on.
	// people are others.
	keys, people string
	// opens is true of keys k for whose doors somebody may gain or lose. Doors are others.
	opens, doors string
	// gives says that somebody may gain, and joins are groups whose keys they may gain by.
	gives    bool
	joins    []string
	schedule typeid.Schedule // that will have the windows
	windows  []schema.Window // nil: no schedule will have others
}

// none says that the change bears on nobody.
func (b bearing) none() bool { return b.keys == "" && b.people == "" }

// subject is something that a change names.
type subject struct {
	noun, table, field string
	ids                any // an array
	count              int // of those
}

func named[K any](noun, table, field string, id K) subject {
	return subject{noun, table, field, pq.Array([]K{id}), 1}
}

func listed[K interface {
	comparable
	UUID() [16]byte
}](noun, table, field string, ids []K) subject {
	ids = unique(ids)
	return subject{noun, table, field, pq.Array(ids), len(ids)}
}

// The texts of bearings.
const (
	keysNamed      = `k.id = ANY ($2)`
	membersOfGroup = `SELECT m.user_id FROM user_group_members m
		WHERE m.org_id = $1 AND m.user_group_id = ANY ($2)`
	// keysOfGroup are those of the group named and of the one that it is part of.
	keysOfGroup = `k.user_group_id IN (SELECT unnest(ARRAY[g.id, g.parent_id]) FROM user_groups g
		WHERE g.org_id = $1 AND g.id = ANY ($2))`
	// sharedFromGroup are keys that were shared from those.
	sharedFromGroup = `k.parent_id IN (SELECT p.id FROM keys p JOIN user_groups g
		ON g.org_id = p.org_id AND p.user_group_id IN (g.id, g.parent_id)
		WHERE g.org_id = $1 AND g.id = ANY ($2))`
	// keysOfUser are those that a user may open something with, or has let others.
	keysOfUser = `k.user_id = ANY ($2) OR k.shared_by_id = ANY ($2) OR k.user_group_id IN (
		SELECT unnest(ARRAY[g.id, g.parent_id]) FROM user_group_members m
		JOIN user_groups g ON g.org_id = m.org_id AND g.id = m.user_group_id
		WHERE m.org_id = $1 AND m.user_id = ANY ($2))`
	// keysToGroup are those for the group of doors named, or for the one that it is part of.
	keysToGroup = `k.id IN (SELECT t.key_id FROM key_targets t
		WHERE t.org_id = $1 AND t.target IN (
			SELECT unnest(ARRAY[g.id, g.parent_id]) FROM door_groups g
			WHERE g.org_id = $1 AND g.id = ANY ($2)))`
	// keysOfWhole, sharedFromWhole and keysToWhole are those of groups, listed besides, that the group
	// named becomes part of.
	keysOfWhole     = `k.user_group_id = ANY ($3)`
	sharedFromWhole = `k.parent_id IN (SELECT p.id FROM keys p
		WHERE p.org_id = $1 AND p.user_group_id = ANY ($3))`
	keysToWhole = `k.id IN (SELECT t.key_id FROM key_targets t
		WHERE t.org_id = $1 AND t.target = ANY ($3))`
	doorsOfGroup = `SELECT m.door_id FROM door_group_doors m
		WHERE m.org_id = $1 AND m.door_group_id = ANY ($2)`
	keysToDoor = `k.id IN (SELECT t.key_id FROM key_targets t
		WHERE t.org_id = $1 AND t.target IN (
			SELECT unnest(ARRAY[d.id, d.site_id]) FROM doors d WHERE d.org_id = $1 AND d.id = ANY ($2)
			UNION ALL SELECT unnest(ARRAY[g.id, g.parent_id]) FROM door_group_doors m
			JOIN door_groups g ON g.org_id = m.org_id AND g.id = m.door_group_id
			WHERE m.org_id = $1 AND m.door_id = ANY ($2)))`
	keysBySchedule = `k.schedule_id = ANY ($2)`
	// everybody may open a door that stands unlocked.
	everybody = `SELECT u.id FROM users u WHERE u.org_id = $1 AND u.status = 'ACTIVE'`
	// everybodyAt is so if the door named may stand unlocked as it is.
	everybodyAt = everybody + ` AND EXISTS (SELECT FROM doors d WHERE d.org_id = $1 AND d.id = ANY ($2)
		AND (d.mode = 'UNLOCKED' OR d.override_mode = 'UNLOCKED' OR d.unlock_schedule_id IS NOT NULL))`
	doorsBySchedule = `SELECT d.id FROM doors d
		WHERE d.org_id = $1 AND d.unlock_schedule_id = ANY ($2)`
	// doorsUnlocked may stand unlocked, for whoever is not suspended.
	doorsUnlocked = `SELECT d.id FROM doors d
		WHERE d.org_id = $1 AND (d.mode = 'UNLOCKED' OR d.override_mode = 'UNLOCKED')
		UNION SELECT d.id FROM doors d WHERE d.org_id = $1 AND d.unlock_schedule_id IS NOT NULL`
	itself = `SELECT unnest($2)`
)
