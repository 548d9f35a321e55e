package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
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
			Default("CONTROLLED").Comment("the standing one"),
		field.Enum("override_mode").Values("CONTROLLED", "UNLOCKED", "LOCKED").Optional().Nillable().
			Comment("takes the standing mode's place until override_until"),
		field.Time("override_until").Optional().Nillable().Comment("null: until it is cancelled"),
		field.UUID("unlock_schedule_id", typeid.Schedule{}).Optional().Nillable().
			Comment("when the door stands unlocked"),
		field.Bool("first_person_in").Default(false).
			Comment("the unlock schedule waits in each window until somebody was let in"),
		field.Time("first_in_at").Optional().Nillable().Comment("when somebody was last let in"),
		field.Enum("effective_mode").Values("CONTROLLED", "UNLOCKED", "LOCKED", "LOCKDOWN", "DISABLED").
			Default("CONTROLLED").Comment("what was last told of; decisions never rely on it"),
		field.Enum("effective_cause").GoType(ModeCause("")).Default(string(ModeCauseStanding)),
		field.Time("effective_until").Optional().Nillable().Comment("when it is to be looked at again"),
		field.Enum("told_mode").Values("CONTROLLED", "UNLOCKED", "LOCKED", "LOCKDOWN", "DISABLED").
			Optional().Nillable().Comment("what the device was last told; null: it has to be told anyhow"),
		field.UUID("into_area_id", typeid.Area{}).Optional().Nillable(),
		field.UUID("out_of_area_id", typeid.Area{}).Optional().Nillable(),
		field.Int("pin_failures").Default(0).NonNegative().Comment("wrong PINs since the last right one"),
		field.Time("pin_blocked_until").Optional().Nillable(),
		field.Time("pin_budget_at").Optional().Nillable().
			Comment("when the keypad may have as many wrong PINs at once as ever again"),
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
		index.Fields("org_id", "site_id", "id"),
		index.Fields("org_id", "unlock_schedule_id"),
		index.Fields("org_id", "into_area_id"),
		index.Fields("org_id", "out_of_area_id"),
		index.Fields("effective_until").
			Annotations(entsql.IndexWhere("effective_until IS NOT NULL")).StorageKey("door_mode_due"),
		index.Fields("device_id").Annotations(entsql.IndexWhere(
			"device_id IS NOT NULL AND told_mode IS DISTINCT FROM effective_mode")).
			StorageKey("door_untold"),
		index.Fields("org_id", "lock_state", "name", "id"),
		index.Fields("org_id", "connectivity", "name", "id"),
	}
}
