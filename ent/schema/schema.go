// Package schema is the Postgres model: one file per noun.
//
// Every table carries org_id, in its primary key or in the first place of every unique index.
// Relations are columns, not Ent edges: the foreign keys are composite, (org_id, site_id) to
// sites (org_id, id), which Ent cannot express, and stand by hand in migrate/migrations. So no row
// can point into another organization, whatever the code does.
//
// Columns are bigint, text, uuid, bytea, jsonb or timestamptz with microseconds. The package
// imports actor and typeid only.
package schema

import (
	"time"

	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"entgo.io/ent/schema/mixin"

	"github.com/cardea/cardea/typeid"
)

// Now is the present instant as Postgres keeps it: UTC, microseconds.
func Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// tenant gives a table its organization and the key that composite foreign keys point to.
type tenant struct{ mixin.Schema }

func (tenant) Fields() []ent.Field {
	return []ent.Field{field.UUID("org_id", typeid.Organization{}).Immutable()}
}

func (tenant) Indexes() []ent.Index {
	return []ent.Index{index.Fields("org_id", "id").Unique()}
}

// stamped gives a table the instants of its creation and last change.
type stamped struct{ mixin.Schema }

func (stamped) Fields() []ent.Field {
	return []ent.Field{
		field.Time("created_at").Immutable().Default(Now),
		field.Time("updated_at").Default(Now).UpdateDefault(Now),
	}
}
