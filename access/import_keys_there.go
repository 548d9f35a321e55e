package access

import (
	"slices"

	"github.com/cardea/cardea/ent"
)

// unchanged complains of each column in which a row says something else than its key is. An import
// changes no key, and says so.
func (in *keyImport) unchanged(f *faults, row KeyRow, k *ent.Key) {
	if k.RevokedAt != nil {
		f.refuse(CodeConflict, "id", "the key was revoked; a line without an id grants another")
		return
	}
	of := in.targets[k.ID]
	same := map[string]bool{
		"email":        orZero(k.UserID) == in.people[normalEmail(row.Email)],
		"group":        orZero(k.UserGroupID) == in.groups[row.Group],
		"doorIds":      sameIDs(row.DoorIDs, of.doors),
		"doorGroupIds": sameIDs(row.DoorGroupIDs, of.groups),
		"siteId":       orZero(row.SiteID) == orZero(of.site),
		"scheduleId":   orZero(row.ScheduleID) == orZero(k.ScheduleID),
		"validFrom":    sameInstant(row.ValidFrom, k.ValidFrom),
		"validUntil":   sameInstant(row.ValidUntil, k.ValidUntil),
		"uses":         orZero(row.Uses) == orZero(k.Uses),
		"remote":       row.Remote == nil || *row.Remote == k.Remote,
		"shares":       row.Shares == nil || *row.Shares == k.SharesLeft,
	}
	for _, column := range row.Columns {
		if is, compared := same[column]; compared && !is {
			f.refuse(CodeConflict, column, "the key has another; updateKey changes keys")
		}
	}
}

// took remembers what a key opens.
func (in *keyImport) took(t *ent.KeyTarget) {
	of := in.targets[t.KeyID]
	switch {
	case t.DoorID != nil:
		of.doors = append(of.doors, *t.DoorID)
	case t.DoorGroupID != nil:
		of.groups = append(of.groups, *t.DoorGroupID)
	default:
		of.site = t.SiteID
	}
	in.targets[t.KeyID] = of
}

// sameIDs says whether two lists hold the same identifiers, in whatever order and however often.
func sameIDs[K interface {
	comparable
	UUID() [16]byte
}](a, b []K) bool {
	return slices.Equal(unique(a), unique(b))
}
