// Package access decides: it holds the rules of who may do what to a door, does it, and records it.
//
// It is the only writer of the model. Every use case is one method of Service, shaped alike:
// authorise, check the input, change rows and journal the change in one transaction (write), then,
// if a device is concerned, tell it. Nothing is published before its commit, and no transaction is
// held while a device is asked.
//
// Guarantees:
//
//   - A change and its journal events commit together (see journal).
//   - What refuses says why: an Error with a code and the faulty field for a caller's mistake, a
//     command with a reason code for a door that may not or cannot open.
//   - A command runs before its deadline or never, and at most once: it is not queued, its device
//     drops what is late or seen, and a repeated idempotency key returns the first command.
//   - To a stranger, what exists elsewhere is NOT_FOUND.
//
// The package imports journal, ent, actor, together and typeid.
package access

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/cardea/cardea/access/seal"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// Devices reaches devices, on whichever node their links are. devicelink.Router implements it.
type Devices interface {
	// Dispatch hands a command to the node that holds the device's link, which writes it if its
	// deadline has not passed and records what became of it. It returns ErrDeviceOffline if no node
	// holds the link; after any other error the command may or may not have been handed over.
	Dispatch(ctx context.Context, d Dispatch) error
	// Configure tells a device that is online what its doors are now: it is told, or the node that
	// holds its link has been asked to, when it returns. Whoever tells it records
	// that (RecordConfigured). It returns ErrDeviceOffline if no node holds the link: then its next
	// welcome tells it.
	Configure(ctx context.Context, device typeid.Device) error
	// Renew orders a device to make a new key. It returns ErrDeviceOffline if no node holds the link.
	Renew(ctx context.Context, device typeid.Device) error
	// Disconnect ends the link of a device that was removed.
	Disconnect(ctx context.Context, device typeid.Device) error
}

// ErrDeviceOffline says that no node holds the device's link.
var ErrDeviceOffline = errors.New("device is offline")

// Dispatch is a command on its way to a device.
type Dispatch struct {
	Organization typeid.Organization `json:"organizationId"`
	Device       typeid.Device       `json:"deviceId"`
	Command      typeid.Command      `json:"commandId"`
	Door         typeid.Door         `json:"doorId"`
	Port         int                 `json:"port"`
	Verb         command.Verb        `json:"verb"`
	Seconds      int                 `json:"seconds"` // until the lock locks again by itself
	IssuedAt     time.Time           `json:"issuedAt"`
	NotAfter     time.Time           `json:"notAfter"` // no device acts on it from then on
}

// Config is what a Service needs. DB carries the tenancy rule (rule.Guard).
type Config struct {
	DB *ent.Client
	// Reserve is a small pool of its own to the same database, for what has to work while DB is
	// exhausted: knowing who asks, lockdowns, and telling devices of their doors. Nil means DB.
	Reserve *ent.Client
	Devices Devices // nil where no device can be reached
	// Secrets keeps what must not be readable in the database. For tests and tools only, nil means a
	// random keyring: nothing that it sealed outlives the process.
	Secrets *seal.Keyring
	// PublicURL returns where people reach this installation, such as https://doors.example.com. Links
	// to shared keys begin with it. Nil: they are paths.
	PublicURL func() string
	// Send has a letter sent, some time soon. It must not block, nor take longer for some letters than
	// for others; one to nobody is dropped. Nil: no letter is.
	Send func(Letter)
	// Committed is told of events right after their commit; it must not block. May be nil.
	Committed func([]journal.Event)
	// Now is the clock; nil means the wall clock.
	Now func() time.Time
	// AllowInsideWebhooks permits plain http and loopback addresses for webhook endpoints.
	AllowInsideWebhooks bool
	Log                 *slog.Logger
}

// Service is the use cases. It is safe for concurrent use.
type Service struct {
	db          *ent.Client
	reserve     *ent.Client
	devices     Devices
	secrets     *seal.Keyring
	publicURL   func() string
	send        func(Letter)
	committed   func([]journal.Event)
	now         func() time.Time
	allowInside bool
	log         *slog.Logger
	timetables  timetables
	tokens      bearers[*ent.APIToken]
	sessions    bearers[*ent.Session]
}

// New returns the use cases over a database.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = schema.Now
	}
	if cfg.Devices == nil {
		cfg.Devices = nowhere{}
	}
	if cfg.Reserve == nil {
		cfg.Reserve = cfg.DB
	}
	if cfg.Secrets == nil {
		cfg.Secrets = seal.Random()
	}
	if cfg.PublicURL == nil {
		cfg.PublicURL = func() string { return "" }
	}
	if cfg.Send == nil {
		cfg.Send = func(Letter) {}
	}
	if cfg.Committed == nil {
		cfg.Committed = func([]journal.Event) {}
	}
	s := &Service{
		db: cfg.DB, reserve: cfg.Reserve, devices: cfg.Devices, secrets: cfg.Secrets,
		publicURL:   cfg.PublicURL,
		send:        cfg.Send,
		committed:   cfg.Committed,
		now:         func() time.Time { return cfg.Now().UTC().Truncate(time.Microsecond) },
		allowInside: cfg.AllowInsideWebhooks, log: cfg.Log,
	}
	s.tokens, s.sessions = bearersBy(s.tokensBy), bearersBy(s.sessionsBy)
	return s
}

// nowhere is where no device can be reached.
type nowhere struct{}

func (nowhere) Dispatch(context.Context, Dispatch) error        { return ErrDeviceOffline }
func (nowhere) Configure(context.Context, typeid.Device) error  { return ErrDeviceOffline }
func (nowhere) Renew(context.Context, typeid.Device) error      { return ErrDeviceOffline }
func (nowhere) Disconnect(context.Context, typeid.Device) error { return nil }
