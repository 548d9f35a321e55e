package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gowebpki/jcs"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

// MaxData is the largest Data that an event may carry, in bytes of its canonical form.
const MaxData = 10 << 10

// ErrInvalid is wrapped by the error for an event that the catalogue does not allow.
var ErrInvalid = errors.New("invalid event")

// Event is one fact. Identifiers that are zero and codes that are empty do not apply to it.
type Event struct {
	ID           typeid.Event
	Organization typeid.Organization
	Sequence     int64  // gapless within the organization, from 1
	Type         string // of the catalogue, such as lock.unlocked
	OccurredAt   time.Time
	ReceivedAt   time.Time
	Delivery     event.Delivery
	Actor        Actor
	Site         typeid.Site
	Door         typeid.Door
	Device       typeid.Device
	User         typeid.User
	Key          typeid.Key
	Command      typeid.Command
	Outcome      event.Outcome
	Reason       schema.Reason
	Method       event.Method
	Severity     event.Severity
	Data         json.RawMessage // a JSON object
}

// Actor is who caused an event.
type Actor struct {
	Kind actor.Kind `json:"kind"`
	ID   string     `json:"id"` // a TypeID, or the name of a part of the system
	// Application is which one acted, by a grant.
	Application typeid.Application `json:"applicationId,omitzero"`
}

// schemaVersion counts changes of the canonical form; a reader meets old ones for ever.
const schemaVersion = 1

// layout writes instants with exactly six decimals, so that equal instants have equal bytes.
const layout = "2006-01-02T15:04:05.000000Z"

// canonical is the event as the world sees it: what leaf hashes cover, what Redis carries, what
// webhooks send and what exports hold.
type canonical struct {
	SchemaVersion int                 `json:"schemaVersion"`
	ID            typeid.Event        `json:"id"`
	Organization  typeid.Organization `json:"organizationId"`
	Sequence      int64               `json:"sequence"`
	Type          string              `json:"type"`
	OccurredAt    string              `json:"occurredAt"`
	ReceivedAt    string              `json:"receivedAt"`
	Delivery      event.Delivery      `json:"delivery"`
	Actor         Actor               `json:"actor"`
	Site          typeid.Site         `json:"siteId,omitzero"`
	Door          typeid.Door         `json:"doorId,omitzero"`
	Device        typeid.Device       `json:"deviceId,omitzero"`
	User          typeid.User         `json:"userId,omitzero"`
	Key           typeid.Key          `json:"keyId,omitzero"`
	Command       typeid.Command      `json:"commandId,omitzero"`
	Outcome       event.Outcome       `json:"outcome,omitzero"`
	Reason        schema.Reason       `json:"reason,omitzero"`
	Method        event.Method        `json:"method,omitzero"`
	Severity      event.Severity      `json:"severity"`
	Data          json.RawMessage     `json:"data"`
}

// Encode returns the event's canonical bytes: one line of RFC 8785 JSON.
func (e Event) Encode() ([]byte, error) {
	plain, err := json.Marshal(canonical{
		SchemaVersion: schemaVersion, ID: e.ID, Organization: e.Organization, Sequence: e.Sequence,
		Type: e.Type, OccurredAt: e.OccurredAt.UTC().Format(layout),
		ReceivedAt: e.ReceivedAt.UTC().Format(layout), Delivery: e.Delivery, Actor: e.Actor,
		Site: e.Site, Door: e.Door, Device: e.Device, User: e.User, Key: e.Key, Command: e.Command,
		Outcome: e.Outcome, Reason: e.Reason, Method: e.Method, Severity: e.Severity, Data: e.Data,
	})
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	bytes, err := jcs.Transform(plain)
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	return bytes, nil
}

// Decode reads what Encode wrote.
func Decode(bytes []byte) (Event, error) {
	var c canonical
	if err := json.Unmarshal(bytes, &c); err != nil {
		return Event{}, fmt.Errorf("decode event: %w", err)
	}
	occurred, err1 := time.Parse(layout, c.OccurredAt)
	received, err2 := time.Parse(layout, c.ReceivedAt)
	if err := errors.Join(err1, err2); err != nil {
		return Event{}, fmt.Errorf("decode event: %w", err)
	}
	return Event{
		ID: c.ID, Organization: c.Organization, Sequence: c.Sequence, Type: c.Type,
		OccurredAt: occurred, ReceivedAt: received, Delivery: c.Delivery, Actor: c.Actor,
		Site: c.Site, Door: c.Door, Device: c.Device, User: c.User, Key: c.Key, Command: c.Command,
		Outcome: c.Outcome, Reason: c.Reason, Method: c.Method, Severity: c.Severity, Data: c.Data,
	}, nil
}

// FromRow reads an event from its row.
func FromRow(row *ent.Event) Event {
	return Event{
		ID: row.ID, Organization: row.OrgID, Sequence: row.Seq, Type: row.Type,
		OccurredAt: row.OccurredAt.UTC(), ReceivedAt: row.ReceivedAt.UTC(), Delivery: row.Delivery,
		Actor: Actor{row.ActorKind, row.ActorID, value(row.ActorApplicationID)},
		Site:  value(row.SiteID), Door: value(row.DoorID), Device: value(row.DeviceID),
		User: value(row.UserID), Key: value(row.KeyID), Command: value(row.CommandID),
		Outcome: value(row.Outcome), Reason: value(row.Reason), Method: value(row.Method),
		Severity: row.Severity, Data: row.Data,
	}
}

// row fills a builder with the event; leaf is the hash of its canonical bytes.
func (e Event) row(create *ent.EventCreate, leaf []byte) *ent.EventCreate {
	return create.SetID(e.ID).SetOrgID(e.Organization).SetSeq(e.Sequence).SetType(e.Type).
		SetOccurredAt(e.OccurredAt).SetReceivedAt(e.ReceivedAt).SetDelivery(e.Delivery).
		SetActorKind(e.Actor.Kind).SetActorID(e.Actor.ID).
		SetNillableActorApplicationID(pointer(e.Actor.Application)).
		SetNillableSiteID(pointer(e.Site)).SetNillableDoorID(pointer(e.Door)).
		SetNillableDeviceID(pointer(e.Device)).SetNillableUserID(pointer(e.User)).
		SetNillableKeyID(pointer(e.Key)).SetNillableCommandID(pointer(e.Command)).
		SetNillableOutcome(pointer(e.Outcome)).SetNillableReason(pointer(e.Reason)).
		SetNillableMethod(pointer(e.Method)).SetSeverity(e.Severity).SetData(e.Data).
		SetLeafHash(leaf)
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func pointer[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// prepare fills what the appender knows and refuses what the catalogue does not allow.
func (e Event) prepare(by Actor, at time.Time) (Event, error) {
	kind, ok := Lookup(e.Type)
	if !ok {
		return e, fmt.Errorf("%w: unknown type %q", ErrInvalid, e.Type)
	}
	if e.ID.IsZero() {
		e.ID = typeid.New[typeid.Event]()
	}
	if e.Actor.Kind == "" {
		e.Actor = by
	}
	if e.Severity == "" {
		e.Severity = kind.Severity
	}
	if e.Delivery == "" {
		e.Delivery = event.DeliveryLIVE
	}
	if e.ReceivedAt.IsZero() {
		e.ReceivedAt = at
	}
	if e.OccurredAt.IsZero() {
		e.OccurredAt = e.ReceivedAt
	}
	e.OccurredAt = e.OccurredAt.UTC().Truncate(time.Microsecond)
	e.ReceivedAt = e.ReceivedAt.UTC().Truncate(time.Microsecond)
	if e.Data == nil {
		e.Data = json.RawMessage("{}")
	}
	return e, e.checkData()
}

// checkData refuses what jsonb would change or refuse, so that a stored event reads back to the same
// canonical bytes, and what is too large in them.
func (e Event) checkData() error {
	if !strings.HasPrefix(strings.TrimLeft(string(e.Data), " \t\r\n"), "{") {
		return fmt.Errorf("%w: data is not a JSON object", ErrInvalid)
	}
	bytes, err := jcs.Transform(e.Data)
	if err != nil {
		return fmt.Errorf("%w: data is not canonical JSON: %w", ErrInvalid, err)
	}
	if len(bytes) > MaxData {
		return fmt.Errorf("%w: data of %d bytes, at most %d", ErrInvalid, len(bytes), MaxData)
	}
	if strings.Contains(string(bytes), `\u0000`) {
		return fmt.Errorf("%w: data holds a NUL character", ErrInvalid)
	}
	return nil
}
