package schema

import (
	"encoding/json"

	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/typeid"
)

// Event is a row of the journal. It is written by journal.Append alone and never changed. It holds
// identifiers without foreign keys, so it outlives what it tells of.
type Event struct{ ent.Schema }

// Mixin of Event.
func (Event) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}} }

// Fields of Event.
func (Event) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.Event{}).Immutable(),
		field.Int64("seq").Positive().Immutable().Comment("gapless within the organization, from 1"),
		field.String("type").NotEmpty().Immutable(),
		field.Time("occurred_at").Immutable().Comment("the device's claim, or ours"),
		field.Time("received_at").Immutable(),
		field.Enum("delivery").Values("LIVE", "BUFFERED", "REPLAYED").Immutable(),
		field.Enum("actor_kind").GoType(actor.Kind("")).Immutable(),
		field.String("actor_id").Immutable(),
		field.UUID("actor_application_id", typeid.Application{}).Optional().Nillable().Immutable(),
		field.UUID("site_id", typeid.Site{}).Optional().Nillable().Immutable(),
		field.UUID("door_id", typeid.Door{}).Optional().Nillable().Immutable(),
		field.UUID("device_id", typeid.Device{}).Optional().Nillable().Immutable(),
		field.UUID("user_id", typeid.User{}).Optional().Nillable().Immutable(),
		field.UUID("key_id", typeid.Key{}).Optional().Nillable().Immutable(),
		field.UUID("command_id", typeid.Command{}).Optional().Nillable().Immutable(),
		field.Enum("outcome").Values("GRANTED", "DENIED", "FAILED").Optional().Nillable().Immutable(),
		field.Enum("reason").GoType(Reason("")).Optional().Nillable().Immutable(),
		field.Enum("method").Values("CARD", "PIN", "MOBILE", "REMOTE", "REX", "SCHEDULE",
			"MECHANICAL_KEY", "LINK", "EMERGENCY", "UNKNOWN").Optional().Nillable().Immutable(),
		field.Enum("severity").Values("INFO", "NOTICE", "WARNING", "CRITICAL").Immutable(),
		field.JSON("data", json.RawMessage{}).Immutable(),
		field.Bytes("leaf_hash").MaxLen(32).Immutable().
			Comment("RFC 6962 leaf hash of the event's canonical bytes"),
	}
}

// Indexes of Event: one behind each filter of auditLog, newest first.
func (Event) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("org_id", "seq").Unique(),
		index.Fields("org_id", "door_id", "seq"),
		index.Fields("org_id", "site_id", "seq"),
		index.Fields("org_id", "user_id", "seq"),
		index.Fields("org_id", "type", "seq"),
		index.Fields("org_id", "actor_id", "seq"),
		index.Fields("org_id", "outcome", "seq").
			Annotations(entsql.IndexWhere("outcome IS NOT NULL")),
		index.Fields("org_id", "severity", "seq").
			Annotations(entsql.IndexWhere("severity <> 'INFO'")),
		index.Fields("org_id", "occurred_at"),
	}
}
