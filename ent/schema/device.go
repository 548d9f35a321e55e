package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// Connectivity says whether a device's link is up.
type Connectivity string

// The values of Connectivity. DEGRADED is a link that lives but misses heartbeats.
const (
	ConnectivityOnline   Connectivity = "ONLINE"
	ConnectivityOffline  Connectivity = "OFFLINE"
	ConnectivityDegraded Connectivity = "DEGRADED"
)

// Values lists them for Ent.
func (Connectivity) Values() []string {
	return []string{
		string(ConnectivityOnline), string(ConnectivityOffline), string(ConnectivityDegraded),
	}
}

// Device is a controller or lock that links to Cardea and drives one or more doors.
type Device struct{ ent.Schema }

// Mixin of Device.
func (Device) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}, stamped{}} }

// Fields of Device.
func (Device) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.Device{}).Default(typeid.New[typeid.Device]),
		field.UUID("site_id", typeid.Site{}),
		field.String("name").NotEmpty().MaxLen(200),
		field.String("serial").Optional().MaxLen(100).Comment("the device's claim at enrolment"),
		field.String("model").Optional().MaxLen(100),
		field.String("firmware").Optional().MaxLen(100),
		field.Bytes("public_key").Optional().MaxLen(32).Comment("Ed25519; empty until enrolled"),
		field.Bytes("next_key").Optional().MaxLen(32).
			Comment("Ed25519; takes public_key's place when a hello is signed with it"),
		field.Time("next_key_at").Optional().Nillable().
			Comment("when the device offered next_key"),
		field.Bytes("claim_code_hash").Optional().Sensitive().
			Comment("SHA-256 of the claim code; empty once used"),
		field.Time("claim_expires_at").Optional().Nillable(),
		field.Time("enrolled_at").Optional().Nillable(),
		field.Enum("connectivity").GoType(Connectivity("")).Default(string(ConnectivityOffline)),
		field.Time("last_seen_at").Optional().Nillable(),
		field.Int64("epoch").Default(0).
			Comment("counts links; a frame from an older epoch's link is dropped"),
		field.Int("clock_offset").Optional().Nillable().
			Comment("how far its clock is ahead, in milliseconds; empty until it has linked"),
		field.Time("challenged_at").Optional().Nillable().
			Comment("when the newest link was; a hello to an older challenge comes too late"),
		field.Int64("log_epoch").Default(0).
			Comment("the device's own count of its log's lives; sequences start anew in each"),
		field.Int64("last_sequence").Default(0).
			Comment("the last report of log_epoch that is committed"),
	}
}

// Indexes of Device. The claim code is looked up before the organization is known, so its index is
// by hash alone; it is not unique, and needs not be: codes are random.
func (Device) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("org_id", "site_id", "name").Unique(),
		index.Fields("org_id", "name", "id"),
		index.Fields("org_id", "connectivity", "name", "id"),
		index.Fields("claim_code_hash"),
	}
}
