package access

import (
	"time"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/typeid"
)

// decision says whether, and why.
type decision struct {
	granted bool
	reason  schema.Reason
	key     typeid.Key // that grants, or that came closest
}

// decide is the rule: may this person command this door now? It is pure. keys are the person's that
// cover the door, whatever their state.
//
// A door's mode comes before keys: nothing opens a door that is in lockdown, locked or disabled.
// Locking is not refused by a mode. Without a valid key the reason is that of the key that came
// closest: not yet valid, then expired, then revoked.
func decide(
	verb command.Verb, d *ent.Door, person *ent.User, keys []*ent.Key, at time.Time,
) decision {
	if person.Status != user.StatusACTIVE {
		return decision{reason: schema.ReasonUserSuspended}
	}
	if verb == command.VerbUNLOCK {
		switch d.Mode {
		case door.ModeLOCKDOWN:
			return decision{reason: schema.ReasonLockdown}
		case door.ModeLOCKED, door.ModeDISABLED:
			return decision{reason: schema.ReasonDoorDisabled}
		case door.ModeCONTROLLED, door.ModeUNLOCKED:
		}
	}
	best := decision{reason: schema.ReasonNoGrant}
	for _, k := range keys {
		this := worth(k, at)
		if closeness[this.reason] > closeness[best.reason] {
			best = this
		}
	}
	return best
}

func worth(k *ent.Key, at time.Time) decision {
	switch StatusOf(k, at) {
	case KeyActive:
		return decision{granted: true, reason: schema.ReasonGrantedRemote, key: k.ID}
	case KeyPending:
		return decision{reason: schema.ReasonNotYetValid, key: k.ID}
	case KeyExpired:
		return decision{reason: schema.ReasonExpired, key: k.ID}
	case KeyRevoked:
	}
	return decision{reason: schema.ReasonKeyRevoked, key: k.ID}
}

var closeness = map[schema.Reason]int{
	schema.ReasonNoGrant: 0, schema.ReasonKeyRevoked: 1, schema.ReasonExpired: 2,
	schema.ReasonNotYetValid: 3, schema.ReasonGrantedRemote: 4,
}
