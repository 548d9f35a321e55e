package devicelink

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/event"
)

// The checks are of form: whether a frame can mean anything. What it means is access's to judge.

func (c *Challenge) check() error {
	return errors.Join(
		versioned(c.Version), named("serverName", c.ServerName), drawn(c.Nonce),
	)
}

func (h *Hello) check() error {
	return errors.Join(
		versioned(h.Version), given("deviceId", h.DeviceID), drawn(h.Nonce),
		within("logEpoch", h.LogEpoch, 1, 1<<53), text("firmware", h.Firmware), at("at", h.At),
		within("keysVersion", h.KeysVersion, 1, 1<<53), listed("keyIds", h.KeyIDs),
	)
}

func (w *Welcome) check() error {
	return errors.Join(
		within("epoch", w.Epoch, 1, 1<<53), within("sequence", w.Sequence, 0, 1<<53),
		at("serverTime", w.ServerTime),
		within("heartbeatSeconds", int64(w.HeartbeatSeconds), 1, 3600), bound(w.Doors),
		keyed("keyId", w.KeyID),
	)
}

func (r *Report) check() error {
	return errors.Join(
		within("sequence", r.Sequence, 1, 1<<53), at("at", r.At),
		within("port", int64(r.Port), 0, maxPort), named("event", r.Event),
		oneOf("lockState", r.LockState, door.LockStateValidator),
		oneOf("position", r.Position, door.PositionValidator),
		oneOf("method", r.Method, event.MethodValidator),
		oneOf("outcome", r.Outcome, event.OutcomeValidator),
		oneOf("reason", r.Reason, event.ReasonValidator),
		object("data", &r.Data),
	)
}

func (r *Result) check() error {
	return errors.Join(
		within("sequence", r.Sequence, 1, 1<<53), at("at", r.At),
		given("commandId", r.CommandID), within("port", int64(r.Port), 1, maxPort),
		reportedStage(r.Stage),
		oneOf("reason", r.Reason, command.ReasonValidator),
		oneOf("confirmation", r.Confirmation, command.ConfirmationValidator),
		oneOf("lockState", r.LockState, door.LockStateValidator),
		oneOf("position", r.Position, door.PositionValidator),
	)
}

func (a *Ack) check() error { return within("sequence", a.Sequence, 0, 1<<53) }

func (s *Signed) check() error {
	return errors.Join(
		within("epoch", s.Epoch, 1, 1<<53), within("sequence", s.Sequence, 1, 1<<53),
		keyed("keyId", s.KeyID),
	)
}

func (c *Command) check() error {
	return errors.Join(
		given("commandId", c.CommandID), given("organizationId", c.OrganizationID),
		given("deviceId", c.DeviceID), given("doorId", c.DoorID),
		required("verb", c.Verb, command.VerbValidator),
		within("port", int64(c.Port), 1, maxPort), within("seconds", int64(c.Seconds), 0, 3600),
		at("issuedAt", c.IssuedAt), at("notAfter", c.NotAfter), c.Signed.check(),
	)
}

func (c *Config) check() error { return errors.Join(bound(c.Doors), c.Signed.check()) }

func (k *Keys) check() error {
	faults := []error{within("version", k.Version, 1, 1<<53), k.Signed.check(),
		listed("serverKeys", KeyIDs(k.ServerKeys))}
	for _, key := range k.ServerKeys {
		if key.ID != keyID(key.PublicKey[:]) {
			faults = append(faults, errors.New("serverKeys has a key with another's id"))
		}
	}
	return errors.Join(faults...)
}

func (t *Time) check() error {
	return errors.Join(at("serverTime", t.ServerTime), t.Signed.check())
}

func (c *Clock) check() error {
	return errors.Join(within("answers", c.Answers, 1, 1<<53), at("at", c.At))
}

func (r *Renew) check() error { return r.Signed.check() }

func (r *Rotate) check() error { return nil }

func (r *Rotated) check() error { return r.Signed.check() }

// keyed accepts what names a key.
func keyed(field, id string) error {
	if raw, err := hex.DecodeString(id); err != nil || len(raw) != 4 || id != strings.ToLower(id) {
		return fmt.Errorf("%s is no key's", field)
	}
	return nil
}

// listed accepts what names keys, each once.
func listed(field string, ids []string) error {
	if len(ids) == 0 || len(ids) > maxKeys {
		return fmt.Errorf("%s must be 1 to %d", field, maxKeys)
	}
	for i, id := range ids {
		if err := keyed(field, id); err != nil || slices.Contains(ids[:i], id) {
			return errors.Join(err, fmt.Errorf("%s has an id twice, or one that is none", field))
		}
	}
	return nil
}

func versioned(version int) error {
	if version != Version {
		return fmt.Errorf("version must be %d", Version)
	}
	return nil
}

// drawn refuses the nonce that a frame without one has.
func drawn(n Nonce) error {
	if n == (Nonce{}) {
		return errors.New("nonce is missing")
	}
	return nil
}

func given(field string, id interface{ IsZero() bool }) error {
	if id.IsZero() {
		return fmt.Errorf("%s is missing", field)
	}
	return nil
}

func within(field string, value, low, high int64) error {
	if value < low || value > high {
		return fmt.Errorf("%s must be from %d to %d", field, low, high)
	}
	return nil
}

// at accepts the instants that Postgres and RFC 3339 both can hold. A clock that is wrong is not
// malformed: it is kept as it is, beside ours.
func at(field string, t time.Time) error {
	if year := t.UTC().Year(); t.IsZero() || year < 1 || year > 9999 {
		return fmt.Errorf("%s is missing or out of range", field)
	}
	return nil
}

func text(field, value string) error {
	if len(value) > maxText || strings.ContainsFunc(value, isControl) {
		return fmt.Errorf("%s must have at most %d bytes, no control characters", field, maxText)
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func named(field, value string) error {
	if value == "" {
		return fmt.Errorf("%s is missing", field)
	}
	return text(field, value)
}

func oneOf[E ~string](field string, value E, valid func(E) error) error {
	if value == "" {
		return nil
	}
	return required(field, value, valid)
}

func required[E ~string](field string, value E, valid func(E) error) error {
	if valid(value) != nil {
		return fmt.Errorf("%s is not one of its values", field)
	}
	return nil
}

// reportedStage accepts the stages that only the device can know of.
func reportedStage(s command.Stage) error {
	switch s {
	case command.StageACKNOWLEDGED, command.StageCONFIRMED, command.StageREJECTED,
		command.StageFAILED, command.StageEXPIRED:
		return nil
	default:
		return errors.New("stage is not one of its values")
	}
}

// object checks a report's data, and puts it as the journal will keep it: numbers as doubles, no
// field twice, no text that is not Unicode.
func object(field string, data *json.RawMessage) error {
	if len(*data) == 0 {
		return nil
	}
	var object map[string]any
	err := json.Unmarshal(*data, &object)
	if err != nil || object == nil || len(*data) > MaxData {
		return fmt.Errorf("%s must be an object of at most %d bytes", field, MaxData)
	}
	if *data, err = json.Marshal(object); err != nil || bytes.Contains(*data, []byte(`\u0000`)) {
		return fmt.Errorf("%s must not hold NUL", field)
	}
	return nil
}

func bound(doors []Door) error {
	for _, d := range doors {
		err := errors.Join(
			within("doors.port", int64(d.Port), 1, maxPort), given("doors.doorId", d.DoorID),
			required("doors.mode", d.Mode, door.ModeValidator),
			within("doors.relockSeconds", int64(d.RelockSeconds), 1, maxPort),
			within("doors.heldOpenSeconds", int64(d.HeldOpenSeconds), 1, 3600),
		)
		if err != nil {
			return err
		}
	}
	return nil
}
