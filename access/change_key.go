package access

import (
	"slices"
	"time"

	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/typeid"
)

// What changes of keys bear on, and what they do to facts.

func (RevokeKeyInput) right() Action { return ShareKeys }
func (RevokeKeyInput) check() error  { return nil }

func (in RevokeKeyInput) bearing() bearing {
	return bearing{names: []subject{named("key", "keys", "id", in.ID)},
		keys: keysNamed, opens: keysNamed}
}

func (in RevokeKeyInput) apply(f *verdict.Facts) {
	ended := familyOf(f.Keys, func(k verdict.Key) bool { return k.ID == in.ID })
	f.Keys = slices.Clone(f.Keys)
	for i, k := range f.Keys {
		f.Keys[i].Revoked = k.Revoked || ended[k.ID]
	}
}

func (SuspendKeyInput) right() Action { return WriteKeys }
func (SuspendKeyInput) check() error  { return nil }

func (in SuspendKeyInput) bearing() bearing {
	return bearing{names: []subject{named("key", "keys", "id", in.ID)},
		keys: keysNamed, opens: keysNamed}
}

func (in SuspendKeyInput) apply(f *verdict.Facts) {
	f.Keys = slices.Clone(f.Keys)
	for i, k := range f.Keys {
		f.Keys[i].Suspended = k.Suspended || k.ID == in.ID
	}
}

func (UpdateKeyInput) right() Action { return WriteKeys }

func (in UpdateKeyInput) bearing() bearing {
	b := bearing{names: []subject{named("key", "keys", "id", in.ID)}, gives: true}
	if in.ScheduleID != nil {
		b.names = append(b.names, named("schedule", "schedules", "scheduleId", *in.ScheduleID))
	}
	if in.ValidFrom != nil || in.ClearValidFrom || in.ValidUntil != nil || in.ClearValidUntil ||
		in.ScheduleID != nil || in.ClearSchedule || in.Uses != nil || in.ClearUses || in.Remote != nil {
		b.keys, b.opens = keysNamed, keysNamed
	}
	return b
}

func (in UpdateKeyInput) apply(f *verdict.Facts) {
	f.Keys = slices.Clone(f.Keys)
	for i := range f.Keys {
		k := &f.Keys[i]
		if k.ID != in.ID {
			continue
		}
		k.From = orZero(set(&k.From, asKept(in.ValidFrom), in.ClearValidFrom))
		k.Until = orZero(set(&k.Until, asKept(in.ValidUntil), in.ClearValidUntil))
		k.Schedule = orZero(set(&k.Schedule, in.ScheduleID, in.ClearSchedule))
		if in.Remote != nil {
			k.AtDoorOnly = !*in.Remote
		}
		switch {
		case in.ClearUses:
			k.Limited = false
		case in.Uses != nil:
			k.UsesLeft = max(0, *in.Uses-(k.Uses-k.UsesLeft))
			k.Limited, k.Uses = true, *in.Uses
		}
	}
}

// asKept is an instant as the database keeps it.
func asKept(at *time.Time) *time.Time {
	if at == nil {
		return nil
	}
	return new(at.Round(time.Microsecond))
}

// familyOf is some keys with all that was shared from them.
func familyOf(
	keys []verdict.Key, which func(verdict.Key) bool,
) map[typeid.Key]bool {
	family := map[typeid.Key]bool{}
	for grown := true; grown; {
		grown = false
		for _, k := range keys {
			if !family[k.ID] && (which(k) || family[k.Parent]) {
				family[k.ID], grown = true, true
			}
		}
	}
	return family
}

// without is keys but for some with all that was shared from them.
func without(keys []verdict.Key, which func(verdict.Key) bool) []verdict.Key {
	gone := familyOf(keys, which)
	return slices.DeleteFunc(slices.Clone(keys), func(k verdict.Key) bool { return gone[k.ID] })
}
