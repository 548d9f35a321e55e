// Package typeid names things: every row that the outside may see has a typed identifier.
//
// An identifier is a UUIDv7, so it sorts by creation. In Postgres it is a plain uuid; everywhere
// else (GraphQL, device frames, webhooks, logs, exports) it is a TypeID: a readable prefix, an
// underscore and 26 characters of Crockford base32, such as door_01k0c5a2m8f7xb3v9q6t4s2r1p.
// Each noun has a Go type of its own, so a door cannot be passed where a site is meant, and text
// with the wrong prefix is refused before any query.
//
// The zero value is "no identifier": it encodes as SQL NULL and as the empty string.
//
// The package imports only the standard library and a UUID generator; every room may import it.
package typeid

import (
	"bytes"
	"database/sql/driver"
	"encoding"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"
)

// ErrMalformed is wrapped by every error that parsing an identifier returns.
var ErrMalformed = errors.New("malformed id")

type kind interface{ prefix() string }

// of is the identifier of one noun K. Nouns embed it to get a named type that Ent can reflect on.
type of[K kind] struct{ raw uuid.UUID }

// The nouns of the model.
type (
	// Organization identifies a tenant.
	Organization struct{ of[organization] }
	// Site identifies a site.
	Site struct{ of[site] }
	// Door identifies a door.
	Door struct{ of[door] }
	// Device identifies a device.
	Device struct{ of[device] }
	// User identifies a user.
	User struct{ of[user] }
	// Key identifies a key.
	Key struct{ of[key] }
	// KeyTarget identifies something that a key opens.
	KeyTarget struct{ of[keyTarget] }
	// ManagedSite identifies a site that somebody manages.
	ManagedSite struct{ of[managedSite] }
	// UserGroup identifies a group of people.
	UserGroup struct{ of[userGroup] }
	// UserGroupMember identifies one person of a group.
	UserGroupMember struct{ of[userGroupMember] }
	// DoorGroup identifies a group of doors.
	DoorGroup struct{ of[doorGroup] }
	// DoorGroupDoor identifies one door of a group.
	DoorGroupDoor struct{ of[doorGroupDoor] }
	// Schedule identifies a schedule.
	Schedule struct{ of[schedule] }
	// HolidayCalendar identifies a holiday calendar.
	HolidayCalendar struct{ of[holidayCalendar] }
	// LockdownPlan identifies a lockdown plan.
	LockdownPlan struct{ of[lockdownPlan] }
	// Lockdown identifies one use of a lockdown plan.
	Lockdown struct{ of[lockdown] }
	// LockdownDoor identifies one door of a lockdown.
	LockdownDoor struct{ of[lockdownDoor] }
	// Area identifies an area of a site.
	Area struct{ of[area] }
	// Presence identifies where one person is with respect to one area.
	Presence struct{ of[presence] }
	// Credential identifies a PIN, a card or a phone; it is not the secret.
	Credential struct{ of[credential] }
	// Visit identifies a visit.
	Visit struct{ of[visit] }
	// APIToken identifies an API token; it is not the secret.
	APIToken struct{ of[apiToken] }
	// Session identifies a sign-in of a user; it is not the secret.
	Session struct{ of[session] }
	// SignInCode identifies a code that was asked for to sign in; it is not the code.
	SignInCode struct{ of[signInCode] }
	// SignInAttempt identifies a try to sign in.
	SignInAttempt struct{ of[signInAttempt] }
	// Passkey identifies a passkey of a user.
	Passkey struct{ of[passkey] }
	// PasskeyChallenge identifies what an authenticator is asked to sign.
	PasskeyChallenge struct{ of[passkeyChallenge] }
	// Application identifies an application that asks for access; it is its client_id too.
	Application struct{ of[application] }
	// Grant identifies what a user lets an application do for them.
	Grant struct{ of[grant] }
	// AuthorizationCode identifies a code that an application gets its first tokens for; it is not the
	// code.
	AuthorizationCode struct{ of[authorizationCode] }
	// RefreshToken identifies what an application gets its next tokens for; it is not the secret.
	RefreshToken struct{ of[refreshToken] }
	// IdentityProvider identifies who says who people are.
	IdentityProvider struct{ of[identityProvider] }
	// Identity identifies a user as a provider knows them.
	Identity struct{ of[identity] }
	// IdentityRequest identifies a browser's way to a provider and back.
	IdentityRequest struct{ of[identityRequest] }
	// Command identifies a command to a device.
	Command struct{ of[command] }
	// Event identifies a journal event.
	Event struct{ of[event] }
	// Checkpoint identifies a signed statement of a journal's size and root.
	Checkpoint struct{ of[checkpoint] }
	// LogTile identifies a piece of a journal's Merkle tree.
	LogTile struct{ of[logTile] }
	// WebhookEndpoint identifies a webhook endpoint.
	WebhookEndpoint struct{ of[webhookEndpoint] }
	// WebhookDelivery identifies the delivery of one event to one endpoint.
	WebhookDelivery struct{ of[webhookDelivery] }
	// WebhookAttempt identifies one try of a delivery.
	WebhookAttempt struct{ of[webhookAttempt] }
)

type (
	organization      struct{}
	site              struct{}
	door              struct{}
	device            struct{}
	user              struct{}
	key               struct{}
	keyTarget         struct{}
	managedSite       struct{}
	userGroup         struct{}
	userGroupMember   struct{}
	doorGroup         struct{}
	doorGroupDoor     struct{}
	schedule          struct{}
	holidayCalendar   struct{}
	lockdownPlan      struct{}
	lockdown          struct{}
	lockdownDoor      struct{}
	area              struct{}
	presence          struct{}
	credential        struct{}
	visit             struct{}
	apiToken          struct{}
	session           struct{}
	signInCode        struct{}
	signInAttempt     struct{}
	passkey           struct{}
	passkeyChallenge  struct{}
	identityProvider  struct{}
	identity          struct{}
	identityRequest   struct{}
	application       struct{}
	grant             struct{}
	authorizationCode struct{}
	refreshToken      struct{}
	command           struct{}
	event             struct{}
	checkpoint        struct{}
	logTile           struct{}
	webhookEndpoint   struct{}
	webhookDelivery   struct{}
	webhookAttempt    struct{}
)

func (organization) prefix() string      { return "org" }
func (site) prefix() string              { return "site" }
func (door) prefix() string              { return "door" }
func (device) prefix() string            { return "device" }
func (user) prefix() string              { return "user" }
func (key) prefix() string               { return "key" }
func (keyTarget) prefix() string         { return "keytarget" }
func (managedSite) prefix() string       { return "managedsite" }
func (userGroup) prefix() string         { return "usergroup" }
func (userGroupMember) prefix() string   { return "usergroupmember" }
func (doorGroup) prefix() string         { return "doorgroup" }
func (doorGroupDoor) prefix() string     { return "doorgroupdoor" }
func (schedule) prefix() string          { return "schedule" }
func (holidayCalendar) prefix() string   { return "calendar" }
func (lockdownPlan) prefix() string      { return "plan" }
func (lockdown) prefix() string          { return "lockdown" }
func (lockdownDoor) prefix() string      { return "lockdowndoor" }
func (area) prefix() string              { return "area" }
func (presence) prefix() string          { return "presence" }
func (credential) prefix() string        { return "credential" }
func (visit) prefix() string             { return "visit" }
func (apiToken) prefix() string          { return "token" }
func (session) prefix() string           { return "session" }
func (signInCode) prefix() string        { return "signincode" }
func (signInAttempt) prefix() string     { return "signinattempt" }
func (passkey) prefix() string           { return "passkey" }
func (passkeyChallenge) prefix() string  { return "passkeychallenge" }
func (application) prefix() string       { return "app" }
func (grant) prefix() string             { return "grant" }
func (authorizationCode) prefix() string { return "authcode" }
func (refreshToken) prefix() string      { return "refresh" }
func (command) prefix() string           { return "cmd" }
func (event) prefix() string             { return "event" }
func (checkpoint) prefix() string        { return "checkpoint" }
func (logTile) prefix() string           { return "logtile" }
func (webhookEndpoint) prefix() string   { return "endpoint" }
func (webhookDelivery) prefix() string   { return "delivery" }
func (webhookAttempt) prefix() string    { return "attempt" }
func (identityProvider) prefix() string  { return "provider" }
func (identity) prefix() string          { return "identity" }
func (identityRequest) prefix() string   { return "identityrequest" }

type pointer[T any] interface {
	*T
	encoding.TextUnmarshaler
	set(uuid.UUID)
	Prefix() string
}

// New returns a fresh identifier of noun T. Identifiers made by one process sort in the order made.
func New[T any, P pointer[T]]() T {
	var v T
	P(&v).set(uuid.Must(uuid.NewV7()))
	return v
}

// At returns a fresh identifier of noun T that sorts as if it had been made at t.
func At[T any, P pointer[T]](t time.Time) T {
	raw := uuid.Must(uuid.NewV7())
	ms := uint64(t.UnixMilli())
	for i := range 6 {
		raw[i] = byte(ms >> (40 - 8*i) & 0xff)
	}
	var v T
	P(&v).set(raw)
	return v
}

// Parse reads the TypeID of a noun T; the error wraps ErrMalformed.
func Parse[T any, P pointer[T]](s string) (T, error) {
	var v T
	err := P(&v).UnmarshalText([]byte(s))
	return v, err
}

// As narrows an identifier of any noun to noun T; the error wraps ErrMalformed.
func As[T any, P pointer[T]](a Any) (T, error) {
	var v T
	p := P(&v)
	if a.prefix != p.Prefix() {
		return v, fmt.Errorf("%w: want a %s id", ErrMalformed, p.Prefix())
	}
	p.set(a.raw)
	return v, nil
}

// Prefix returns the noun's prefix, without the underscore.
func (of[K]) Prefix() string {
	var k K
	return k.prefix()
}

// IsZero says that this is no identifier.
func (i of[K]) IsZero() bool { return i.raw == uuid.Nil }

// UUID returns the bytes as stored in Postgres.
func (i of[K]) UUID() [16]byte { return i.raw }

// Any forgets the noun's Go type and keeps its prefix.
func (i of[K]) Any() Any { return Any{prefix: i.Prefix(), raw: i.raw} }

// String returns the TypeID, or "" for the zero value.
func (i of[K]) String() string { return i.Any().String() }

// MarshalText implements encoding.TextMarshaler, and with it JSON.
func (i of[K]) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; the error wraps ErrMalformed.
func (i *of[K]) UnmarshalText(text []byte) error {
	prefix, raw, err := parse(string(text))
	if err != nil {
		return err
	}
	if prefix != i.Prefix() {
		return fmt.Errorf("%w: want a %s id", ErrMalformed, i.Prefix())
	}
	i.raw = raw
	return nil
}

// MarshalGQL implements gqlgen's Marshaler.
func (i of[K]) MarshalGQL(w io.Writer) { i.Any().MarshalGQL(w) }

// UnmarshalGQL implements gqlgen's Unmarshaler.
func (i *of[K]) UnmarshalGQL(v any) error {
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("%w: not a string", ErrMalformed)
	}
	return i.UnmarshalText([]byte(s))
}

// Value implements driver.Valuer; the zero identifier is NULL.
func (i of[K]) Value() (driver.Value, error) {
	if i.IsZero() {
		return nil, nil
	}
	return i.raw.String(), nil
}

// Scan implements sql.Scanner.
func (i *of[K]) Scan(src any) error { return i.raw.Scan(src) }

func (i *of[K]) set(raw uuid.UUID) { i.raw = raw }

// Any is an identifier whose noun is known only by its prefix.
type Any struct {
	prefix string
	raw    uuid.UUID
}

// ParseAny reads a TypeID of any noun; the error wraps ErrMalformed.
func ParseAny(s string) (Any, error) {
	prefix, raw, err := parse(s)
	return Any{prefix: prefix, raw: raw}, err
}

// Prefix returns the noun's prefix.
func (a Any) Prefix() string { return a.prefix }

// String returns the TypeID, or "" for the zero value.
func (a Any) String() string {
	if a.raw == uuid.Nil {
		return ""
	}
	digits := encode(a.raw)
	return a.prefix + "_" + string(digits[:])
}

// MarshalGQL implements gqlgen's Marshaler.
func (a Any) MarshalGQL(w io.Writer) {
	if buffer, ok := w.(*bytes.Buffer); ok {
		_, _ = buffer.Write(a.quoted(buffer.AvailableBuffer()))
		return
	}
	_, _ = w.Write(a.quoted(nil))
}

// quoted appends the text between quotation marks.
func (a Any) quoted(to []byte) []byte {
	to = append(to, '"')
	if a.raw != uuid.Nil {
		digits := encode(a.raw)
		to = append(append(append(to, a.prefix...), '_'), digits[:]...)
	}
	return append(to, '"')
}

// UnmarshalGQL implements gqlgen's Unmarshaler.
func (a *Any) UnmarshalGQL(v any) (err error) {
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("%w: not a string", ErrMalformed)
	}
	*a, err = ParseAny(s)
	return err
}

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

var digit = func() (table [256]byte) {
	for i := range table {
		table[i] = 0xff
	}
	for i := range alphabet {
		table[alphabet[i]] = byte(i)
	}
	return table
}()

// encode writes 128 bits as 26 digits of 5; the first digit holds the topmost 3.
func encode(raw uuid.UUID) (out [26]byte) {
	var acc uint32
	bits, at := 0, len(out)
	for i := len(raw) - 1; i >= 0; i-- {
		acc |= uint32(raw[i]) << bits
		for bits += 8; bits >= 5; bits -= 5 {
			at--
			out[at] = alphabet[acc&31]
			acc >>= 5
		}
	}
	out[0] = alphabet[acc&31]
	return out
}

func parse(s string) (prefix string, raw uuid.UUID, err error) {
	at := strings.LastIndexByte(s, '_')
	if at < 1 || len(s)-at-1 != 26 || s[at+1] > '7' {
		return "", raw, fmt.Errorf("%w: want prefix_ and 26 characters", ErrMalformed)
	}
	var acc uint32
	bits, end := 0, len(raw)
	for i := len(s) - 1; i > at; i-- {
		d := digit[s[i]]
		if d == 0xff {
			return "", raw, fmt.Errorf("%w: not lower-case Crockford base32", ErrMalformed)
		}
		acc |= uint32(d) << bits
		for bits += 5; bits >= 8 && end > 0; bits -= 8 {
			end--
			raw[end] = byte(acc)
			acc >>= 8
		}
	}
	if raw == uuid.Nil {
		return "", raw, fmt.Errorf("%w: zero", ErrMalformed)
	}
	return s[:at], raw, nil
}
