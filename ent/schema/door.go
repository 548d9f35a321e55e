package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// Door is the controlled opening. Lock state, position and mode are three separate things.
type Door struct{ ent.Schema }

// Mixin of Door.
func (Door) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}, stamped{}} }

// Fields of Door.
func (Door) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.Door{}).Default(typeid.New[typeid.Door]),
		field.UUID("site_id", typeid.Site{}),
		field.UUID("device_id", typeid.Device{}).Optional().Nillable(),
		field.Int("device_port").Optional().Nillable().Positive().Comment("from 1"),
		field.String("name").NotEmpty().MaxLen(200),
		field.Enum("mode").Values("CONTROLLED", "UNLOCKED", "LOCKED", "LOCKDOWN", "DISABLED").
			Default("CONTROLLED"),
		field.Enum("lock_state").Values("LOCKED", "UNLOCKED", "LOCKING", "UNLOCKING", "UNLATCHED",
			"JAMMED", "UNKNOWN").Default("UNKNOWN"),
		field.Enum("position").Values("OPEN", "CLOSED", "UNKNOWN").Default("UNKNOWN"),
		field.Enum("connectivity").GoType(Connectivity("")).Default(string(ConnectivityOffline)).
			Comment("of the bound device; OFFLINE without one"),
		field.Time("observed_at").Optional().Nillable().
			Comment("the instant that lock state and position were true"),
		field.Int("relock_seconds").Default(5).Range(1, 255),
		field.Int("held_open_seconds").Default(30).Range(1, 3600),
	}
}

// Indexes of Door.
func (Door) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("org_id", "site_id", "name").Unique(),
		index.Fields("org_id", "device_id", "device_port").Unique(),
		index.Fields("org_id", "name", "id"),
		index.Fields("org_id", "lock_state", "name", "id"),
		index.Fields("org_id", "connectivity", "name", "id"),
	}
}
