// Package shape holds the Go types that the schema has and no other room does: scalars, connections
// and the items of subscriptions. The generated code and the resolvers both need them, so they
// cannot live in either.
//
// Nouns are ent's and inputs are access's; neither is repeated here. The package imports gqlgen's
// runtime, access, ent, journal and typeid.
package shape

import (
	"time"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// Node is any noun with an identifier: what the field node returns.
type Node any

// EffectiveMode is the rule in force at a door, and why.
type EffectiveMode struct {
	Mode    door.Mode
	Cause   schema.ModeCause
	Until   *time.Time
	Pending bool
	Holiday bool
}

// DoorOverride is a mode over a door's own.
type DoorOverride struct {
	Mode  door.OverrideMode
	Until *time.Time
}

// OpenSpan is while a schedule is open at a site.
type OpenSpan struct {
	StartsAt      time.Time
	EndsAt        time.Time
	LocalStartsAt string
	LocalEndsAt   string
}

// DoorUpdate is an item of the subscription doors.
type DoorUpdate struct {
	Cursor string
	DoorID typeid.Door
	Door   *ent.Door      // shared, read only; nil: gone
	Event  *journal.Event // nil: the present state
}

// EventUpdate is an item of the subscription events.
type EventUpdate struct {
	Cursor string
	Event  *journal.Event
}

// EventFilter says which events to see; what is zero does not narrow.
type EventFilter struct {
	Types    []string
	DoorIDs  []typeid.Door
	SiteIDs  []typeid.Site
	UserIDs  []typeid.User
	ActorIDs []string
	Outcome  *event.Outcome
	Severity *event.Severity
	From     *time.Time
	To       *time.Time
}

// Checkpoint is a signed statement of the audit log's size and root.
type Checkpoint struct {
	Origin   string
	Size     int64
	Root     string
	Note     string
	SignedAt time.Time
}

// InclusionProof proves that an event is in the log of a size.
type InclusionProof struct {
	Sequence, Size int64
	LeafHash       string
	Hashes         []string
	Checkpoint     *Checkpoint
}

// ConsistencyProof proves that the log of one size is the beginning of that of another.
type ConsistencyProof struct {
	From, To int64
	Hashes   []string
}

// LogKey is a public key that verifies checkpoints.
type LogKey struct {
	Verifier              string
	ValidFrom, ValidUntil *time.Time
}
