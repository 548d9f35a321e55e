package devicelink

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

const (
	// Version is the protocol's; it is part of what a hello signs, so it cannot be talked down.
	Version = 1
	// Subprotocol is what both sides name in the WebSocket handshake.
	Subprotocol = "cardea.device.v1"
	// EnrolPath is where a device claims its place.
	EnrolPath = "/devices/v1/enrol"
	// LinkPath is where a device opens its link.
	LinkPath = "/devices/v1/link"
	// MaxFrame is the size of the largest frame, in bytes.
	MaxFrame = 64 << 10
	// MaxData is the size of the largest data of a report, in bytes.
	MaxData = 4 << 10
	// maxPort is the highest port of a device; ports count from 1.
	maxPort = 255
	// maxText is the size of the longest text that a device gives of itself, in bytes.
	maxText = 100
)

// ErrMalformed is wrapped by every error of Decode.
var ErrMalformed = errors.New("malformed frame")

// Frame is one JSON text message of the protocol: docs/protocol.md describes each.
type Frame interface{ check() error }

// Challenge opens a link: the server names itself and asks for a proof.
type Challenge struct {
	Type       tag[challengeName] `json:"type"`
	Version    int                `json:"version"`
	ServerName string             `json:"serverName"`
	Nonce      Nonce              `json:"nonce"`
}

// Hello is the device's proof, and where it stands.
type Hello struct {
	Type     tag[helloName] `json:"type"`
	Version  int            `json:"version"`
	DeviceID typeid.Device  `json:"deviceId"`
	Nonce    Nonce          `json:"nonce"`
	LogEpoch int64          `json:"logEpoch"` // grows whenever the device starts its log anew
	Firmware string         `json:"firmware"`
	At       time.Time      `json:"at"` // the device's clock
	// The server's keys that the device has, and how often it was given others.
	KeysVersion int64     `json:"keysVersion"`
	KeyIDs      []string  `json:"keyIds"`
	Signature   Signature `json:"signature"` // see Hello.Sign
}

// Welcome accepts the device, proves the server and tells where it stands.
type Welcome struct {
	Type             tag[welcomeName] `json:"type"`
	Epoch            int64            `json:"epoch"`    // counts the device's links
	Sequence         int64            `json:"sequence"` // the last of its log that is committed
	ServerTime       time.Time        `json:"serverTime"`
	HeartbeatSeconds int              `json:"heartbeatSeconds"`
	Doors            []Door           `json:"doors"`
	KeyID            string           `json:"keyId"`     // of the key that signed
	Signature        Signature        `json:"signature"` // see Signer.Welcome

	doors asSent
}

// Door is what a device must know of a door that is bound to one of its ports.
type Door struct {
	Port            int         `json:"port"`
	DoorID          typeid.Door `json:"doorId"`
	Mode            door.Mode   `json:"mode"`
	RelockSeconds   int         `json:"relockSeconds"`
	HeldOpenSeconds int         `json:"heldOpenSeconds"`
}

// Report is an entry of the device's log: something that happened.
type Report struct {
	Type      tag[reportName] `json:"type"`
	Sequence  int64           `json:"sequence"`
	At        time.Time       `json:"at"`
	Port      int             `json:"port,omitempty"` // none: the device itself
	Event     string          `json:"event"`          // a reportable type of docs/events.md
	LockState door.LockState  `json:"lockState,omitempty"`
	Position  door.Position   `json:"position,omitempty"`
	UserID    typeid.User     `json:"userId,omitzero"`
	Method    event.Method    `json:"method,omitempty"`
	Outcome   event.Outcome   `json:"outcome,omitempty"`
	Reason    schema.Reason   `json:"reason,omitempty"`
	Data      json.RawMessage `json:"data,omitempty"`     // an object
	Buffered  bool            `json:"buffered,omitempty"` // not sent when it happened
}

// Result is an entry of the device's log: how far a command has come.
type Result struct {
	Type         tag[resultName]      `json:"type"`
	Sequence     int64                `json:"sequence"`
	At           time.Time            `json:"at"`
	CommandID    typeid.Command       `json:"commandId"`
	Port         int                  `json:"port"`
	Stage        command.Stage        `json:"stage"`
	Reason       schema.Reason        `json:"reason,omitempty"`
	Confirmation command.Confirmation `json:"confirmation,omitempty"`
	LockState    door.LockState       `json:"lockState,omitempty"`
	Position     door.Position        `json:"position,omitempty"`
	Buffered     bool                 `json:"buffered,omitempty"`
}

// Ack says that the log is committed up to and including Sequence; the device may forget it.
type Ack struct {
	Type     tag[ackName] `json:"type"`
	Sequence int64        `json:"sequence"`
}

// Signed is the end of an order: to which link it belongs, and who says so.
type Signed struct {
	Epoch     int64     `json:"epoch"`     // of the link
	Sequence  int64     `json:"sequence"`  // of the link's orders, from 1
	KeyID     string    `json:"keyId"`     // of the key that signed
	Signature Signature `json:"signature"` // see Signer.Order
}

// Command is an order. The device runs it before NotAfter or never, and at most once.
type Command struct {
	Type           tag[commandName]    `json:"type"`
	CommandID      typeid.Command      `json:"commandId"`
	OrganizationID typeid.Organization `json:"organizationId"`
	DeviceID       typeid.Device       `json:"deviceId"`
	DoorID         typeid.Door         `json:"doorId"`
	Port           int                 `json:"port"`
	Verb           command.Verb        `json:"verb"`
	Seconds        int                 `json:"seconds"` // an unlocked lock locks again after
	IssuedAt       time.Time           `json:"issuedAt"`
	NotAfter       time.Time           `json:"notAfter"`
	Signed
}

// Config is an order. It replaces the doors of the welcome: a mode opens doors too.
type Config struct {
	Type  tag[configName] `json:"type"`
	Doors []Door          `json:"doors"`
	Signed

	doors asSent
}

// Keys is an order. It replaces the server's keys that the device has.
type Keys struct {
	Type       tag[keysName] `json:"type"`
	Version    int64         `json:"version"` // only grows
	ServerKeys []ServerKey   `json:"serverKeys"`
	Signed

	keys asSent
}

// Time is an order. It tells what the server's clock shows, and asks for the device's.
type Time struct {
	Type       tag[timeName] `json:"type"`
	ServerTime time.Time     `json:"serverTime"`
	// When the answer to the Time before this one came; zero if none has.
	HeardAt time.Time `json:"heardAt,omitzero"`
	Signed
}

// Clock answers a Time.
type Clock struct {
	Type    tag[clockName] `json:"type"`
	Answers int64          `json:"answers"` // the sequence of the Time
	At      time.Time      `json:"at"`      // the device's clock
}

// Renew is an order: the device makes a new key, and offers it.
type Renew struct {
	Type tag[renewName] `json:"type"`
	Signed
}

// Rotate offers the device's next key, signed with both its keys.
type Rotate struct {
	Type      tag[rotateName] `json:"type"`
	PublicKey PublicKey       `json:"publicKey"`
	Proof     Signature       `json:"proof"`     // by the next key: see Rotate.Sign
	Signature Signature       `json:"signature"` // by the key that signed the hello
}

// Rotated is an order. It says that the server has the device's next key.
type Rotated struct {
	Type      tag[rotatedName] `json:"type"`
	PublicKey PublicKey        `json:"publicKey"`
	Signed
}

// tag is the type field of frame K: it is always written, and nothing else is accepted.
type tag[K interface{ name() string }] struct{}

// MarshalText writes the frame's name.
func (tag[K]) MarshalText() ([]byte, error) {
	var k K
	return []byte(k.name()), nil
}

// UnmarshalText accepts the frame's name.
func (*tag[K]) UnmarshalText(text []byte) error {
	var k K
	if string(text) != k.name() {
		return fmt.Errorf("type must be %s", k.name())
	}
	return nil
}

type (
	challengeName struct{}
	helloName     struct{}
	welcomeName   struct{}
	reportName    struct{}
	resultName    struct{}
	ackName       struct{}
	commandName   struct{}
	configName    struct{}
	keysName      struct{}
	timeName      struct{}
	clockName     struct{}
	renewName     struct{}
	rotateName    struct{}
	rotatedName   struct{}
)

func (challengeName) name() string { return "challenge" }
func (helloName) name() string     { return "hello" }
func (welcomeName) name() string   { return "welcome" }
func (reportName) name() string    { return "report" }
func (resultName) name() string    { return "result" }
func (ackName) name() string       { return "ack" }
func (commandName) name() string   { return "command" }
func (configName) name() string    { return "config" }
func (keysName) name() string      { return "keys" }
func (timeName) name() string      { return "time" }
func (clockName) name() string     { return "clock" }
func (renewName) name() string     { return "renew" }
func (rotateName) name() string    { return "rotate" }
func (rotatedName) name() string   { return "rotated" }

// shape is how a frame is made and which fields it may have.
type shape struct {
	make   func() Frame
	fields map[string]bool
}

func shapeOf[F any, P interface {
	*F
	Frame
}]() shape {
	fields := map[string]bool{}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[F]()) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.Anonymous && field.IsExported() {
			fields[name] = true
		}
	}
	return shape{make: func() Frame { return P(new(F)) }, fields: fields}
}

var shapes = map[string]shape{
	challengeName{}.name(): shapeOf[Challenge](),
	helloName{}.name():     shapeOf[Hello](),
	welcomeName{}.name():   shapeOf[Welcome](),
	reportName{}.name():    shapeOf[Report](),
	resultName{}.name():    shapeOf[Result](),
	ackName{}.name():       shapeOf[Ack](),
	commandName{}.name():   shapeOf[Command](),
	configName{}.name():    shapeOf[Config](),
	keysName{}.name():      shapeOf[Keys](),
	timeName{}.name():      shapeOf[Time](),
	clockName{}.name():     shapeOf[Clock](),
	renewName{}.name():     shapeOf[Renew](),
	rotateName{}.name():    shapeOf[Rotate](),
	rotatedName{}.name():   shapeOf[Rotated](),
}

// Encode returns the frame's text.
func Encode(f Frame) ([]byte, error) {
	text, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode frame: %w", err)
	}
	return text, nil
}

// Decode reads a frame strictly: one JSON object in UTF-8, of a known type, with known fields in
// their exact spelling, none twice, all values within their bounds. It returns a pointer to one of
// the frame structs; the error wraps ErrMalformed and quotes nothing of the frame but field names.
func Decode(text []byte) (Frame, error) {
	if len(text) > MaxFrame {
		return nil, fmt.Errorf("%w: over %d bytes", ErrMalformed, MaxFrame)
	}
	name, keys, err := outline(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	shape, ok := shapes[name]
	if !ok {
		return nil, fmt.Errorf("%w: unknown type", ErrMalformed)
	}
	for _, key := range keys {
		if !shape.fields[key] {
			return nil, fmt.Errorf("%w: %s has an unknown field", ErrMalformed, name)
		}
	}
	f := shape.make()
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	if err := strict.Decode(f); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMalformed, name, plain(err))
	}
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMalformed, name, err)
	}
	return f, nil
}

// outline returns the value of an object's type field and the names of its fields. encoding/json
// lets repeated and differently spelt names pass; the protocol does not.
func outline(text []byte) (name string, keys []string, err error) {
	if !utf8.Valid(text) {
		return "", nil, errors.New("not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return "", nil, errors.New("not a JSON object")
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		key, ok := t.(string)
		if err != nil || !ok || seen[key] {
			return "", nil, errors.New("not JSON, or a field twice")
		}
		seen[key], keys = true, append(keys, key)
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return "", nil, errors.New("not JSON")
		}
		if key == "type" && json.Unmarshal(value, &name) != nil {
			return "", nil, errors.New("type is not a string")
		}
	}
	if _, err := dec.Token(); err != nil {
		return "", nil, errors.New("not JSON")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return "", nil, errors.New("more than one JSON value")
	}
	return name, keys, nil
}

// plain drops what encoding/json quotes of the input.
func plain(err error) error {
	if mistyped, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("%s has the wrong type", mistyped.Field)
	}
	if errors.Is(err, typeid.ErrMalformed) {
		return errors.New("a malformed id")
	}
	return errors.New("a value that cannot be read")
}

// Nonce is 32 random bytes, used once. Its text is base64.
type Nonce [32]byte

// MarshalText implements encoding.TextMarshaler.
func (n Nonce) MarshalText() ([]byte, error) { return encode64(n[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *Nonce) UnmarshalText(text []byte) error { return decode64(n[:], text) }

// Signature is an Ed25519 signature. Its text is base64.
type Signature [64]byte

// MarshalText implements encoding.TextMarshaler.
func (s Signature) MarshalText() ([]byte, error) { return encode64(s[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Signature) UnmarshalText(text []byte) error { return decode64(s[:], text) }

// PublicKey is an Ed25519 public key. Its text is base64.
type PublicKey [32]byte

// MarshalText implements encoding.TextMarshaler.
func (k PublicKey) MarshalText() ([]byte, error) { return encode64(k[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *PublicKey) UnmarshalText(text []byte) error { return decode64(k[:], text) }

var base64Strict = base64.StdEncoding.Strict()

func encode64(raw []byte) []byte { return base64Strict.AppendEncode(nil, raw) }

func decode64(into, text []byte) error {
	raw, err := base64Strict.AppendDecode(nil, text)
	if err != nil || len(raw) != len(into) {
		return fmt.Errorf("want %d bytes in base64", len(into))
	}
	copy(into, raw)
	return nil
}
