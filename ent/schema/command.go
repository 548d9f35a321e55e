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

// Command is an order to a door's device. It runs before expires_at or never.
type Command struct{ ent.Schema }

// Mixin of Command.
func (Command) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}} }

// Fields of Command.
func (Command) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.Command{}).Default(typeid.New[typeid.Command]),
		field.UUID("door_id", typeid.Door{}).Immutable(),
		field.UUID("device_id", typeid.Device{}).Optional().Nillable(),
		field.Enum("verb").Values("UNLOCK", "LOCK").Immutable(),
		field.Enum("stage").Values("CREATED", "DISPATCHED", "ACKNOWLEDGED", "CONFIRMED", "REJECTED",
			"FAILED", "EXPIRED", "UNCONFIRMED", "CANCELLED").Default("CREATED"),
		field.Enum("reason").GoType(Reason("")).Optional().Nillable(),
		field.Enum("confirmation").Values("NONE", "RELAY", "LOCK_STATE", "DOOR_POSITION").
			Default("NONE"),
		field.Enum("requester_kind").GoType(actor.Kind("")).Immutable(),
		field.String("requester_id").Immutable(),
		field.UUID("requester_user_id", typeid.User{}).Optional().Nillable().Immutable().
			Comment("the person behind the requester"),
		field.UUID("key_id", typeid.Key{}).Optional().Nillable().Immutable().
			Comment("the key that granted it"),
		field.JSON("used_key_ids", []typeid.Key{}).Optional().Immutable().
			Comment("the keys that it took a use of, which they get back if nothing happens"),
		field.Bool("as_operator").Default(false).Immutable(),
		field.String("note").Optional().Nillable().MaxLen(500).Immutable().
			Comment("why an operator asked for it"),
		field.String("idempotency_key").Optional().Nillable().MaxLen(255).
			Comment("unique per requester while set; cleared after 24 h"),
		field.JSON("client_context", json.RawMessage{}).Optional(),
		field.Time("requested_at").Immutable(),
		field.Time("dispatched_at").Optional().Nillable(),
		field.Time("acknowledged_at").Optional().Nillable(),
		field.Time("ended_at").Optional().Nillable(),
		field.Time("expires_at").Immutable().Comment("no device acts on it from then on"),
	}
}

// Indexes of Command.
func (Command) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("org_id", "requester_id", "idempotency_key").Unique(),
		index.Fields("org_id", "door_id", "id"),
		index.Fields("org_id", "device_id"),
		// What a person wrote goes when they are erased.
		index.Fields("org_id", "requester_user_id").StorageKey("command_written").
			Annotations(entsql.IndexWhere(
				"note IS NOT NULL OR client_context IS NOT NULL OR idempotency_key IS NOT NULL")),
		index.Fields("org_id", "key_id").
			Annotations(entsql.IndexWhere("ended_at IS NULL")).StorageKey("command_open_of_key"),
		index.Fields("org_id", "door_id").
			Annotations(entsql.IndexWhere("ended_at IS NULL")).StorageKey("command_open_of_door"),
		index.Fields("expires_at").
			Annotations(entsql.IndexWhere("ended_at IS NULL")).StorageKey("command_open"),
	}
}
