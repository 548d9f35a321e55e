package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/key"
	"github.com/cardea/cardea/ent/keydoor"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

const (
	// CommandDeadline is how long after it was asked for a command may still run.
	CommandDeadline = 10 * time.Second
	// ConfirmationWindow is how long after its deadline a command that reached its device may still
	// be confirmed.
	ConfirmationWindow = 15 * time.Second
	// IdempotencyWindow is how long an idempotency key returns the same command.
	IdempotencyWindow = 24 * time.Hour
)

// WaitFor is the stage that a caller waits for. Service does not wait: the edge does.
type WaitFor string

// The stages to wait for.
const (
	WaitForCreated      WaitFor = "CREATED"
	WaitForDispatched   WaitFor = "DISPATCHED"
	WaitForAcknowledged WaitFor = "ACKNOWLEDGED"
	WaitForConfirmed    WaitFor = "CONFIRMED"
)

// UnlockDoorInput asks for a momentary unlock: the lock locks again after the door's relockSeconds.
type UnlockDoorInput struct {
	DoorID typeid.Door
	// IdempotencyKey, for 24 h, returns the requester's first command that had it.
	IdempotencyKey *string
	WaitFor        WaitFor
	// ClientContext is a JSON object that comes back in the command's events.
	ClientContext json.RawMessage
}

// UnlockDoorPayload holds the command, at whatever stage it is.
type UnlockDoorPayload struct{ Command *ent.Command }

// UnlockDoor asks a door's device to unlock, as the actor's own person. A refusal by the rules is a
// command with stage REJECTED; a device that is not there, one with FAILED.
func (s *Service) UnlockDoor(ctx context.Context, in UnlockDoorInput) (*UnlockDoorPayload, error) {
	c, err := s.order(ctx, command.VerbUNLOCK, in)
	if err != nil {
		return nil, err
	}
	return &UnlockDoorPayload{c}, nil
}

// LockDoorInput asks for the lock to lock now.
type LockDoorInput struct {
	DoorID         typeid.Door
	IdempotencyKey *string
	WaitFor        WaitFor
	ClientContext  json.RawMessage
}

// LockDoorPayload holds the command, at whatever stage it is.
type LockDoorPayload struct{ Command *ent.Command }

// LockDoor asks a door's device to lock.
func (s *Service) LockDoor(ctx context.Context, in LockDoorInput) (*LockDoorPayload, error) {
	c, err := s.order(ctx, command.VerbLOCK, UnlockDoorInput(in))
	if err != nil {
		return nil, err
	}
	return &LockDoorPayload{c}, nil
}

// order creates a command, commits it, and only then hands it to the device.
func (s *Service) order(
	ctx context.Context, verb command.Verb, in UnlockDoorInput,
) (*ent.Command, error) {
	if err := Authorize(ctx, CommandDoors); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	if first, err := s.firstWithKey(ctx, verb, in); first != nil || err != nil {
		return first, err
	}
	var c *ent.Command
	var d *ent.Door
	err := s.write(ctx, func(tx *ent.Tx) (events []journal.Event, err error) {
		if d, err = tx.Door.Query().Where(door.ID(in.DoorID)).ForShare().Only(ctx); err != nil {
			return nil, found(err, "door", "doorId")
		}
		c, events, err = s.create(ctx, tx, verb, d, in)
		return events, err
	})
	if errors.Is(err, errKeyUsed) { // the same key at the same moment: the other one won
		return s.firstWithKey(ctx, verb, in)
	}
	if err != nil || c.Stage != command.StageCREATED {
		return c, err
	}
	return s.dispatch(ctx, c, d)
}

func (in UnlockDoorInput) check() error {
	var f faults
	if in.IdempotencyKey != nil {
		f.text("idempotencyKey", *in.IdempotencyKey, 255)
	}
	if len(in.ClientContext) > 0 {
		var object map[string]any
		if json.Unmarshal(in.ClientContext, &object) != nil || object == nil {
			f.add("clientContext", "must be a JSON object")
		}
		if len(in.ClientContext) > 2<<10 {
			f.add("clientContext", "must have at most 2 KiB")
		}
	}
	return f.err()
}

// firstWithKey returns the command that the requester's idempotency key stands for, if any. A key
// older than its window is set free.
func (s *Service) firstWithKey(
	ctx context.Context, verb command.Verb, in UnlockDoorInput,
) (*ent.Command, error) {
	if in.IdempotencyKey == nil {
		return nil, nil
	}
	by, _ := actor.FromContext(ctx)
	c, err := s.db.Command.Query().Where(command.RequesterID(by.ID()),
		command.IdempotencyKey(*in.IdempotencyKey)).Only(ctx)
	switch {
	case ent.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("load command: %w", err)
	case s.now().Sub(c.RequestedAt) >= IdempotencyWindow:
		return nil, s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
			return nil, tx.Command.UpdateOne(c).ClearIdempotencyKey().Exec(ctx)
		})
	case c.Verb != verb || c.DoorID != in.DoorID:
		return nil, errKeyUsed
	}
	return c, nil
}

// create decides, and records the command with the decision.
func (s *Service) create(
	ctx context.Context, tx *ent.Tx, verb command.Verb, d *ent.Door, in UnlockDoorInput,
) (*ent.Command, []journal.Event, error) {
	by, _ := actor.FromContext(ctx)
	verdict, err := s.judge(ctx, tx, verb, d, by.User)
	if err != nil {
		return nil, nil, err
	}
	now := s.now()
	create := tx.Command.Create().SetDoorID(d.ID).SetNillableDeviceID(d.DeviceID).SetVerb(verb).
		SetRequesterKind(by.Kind).SetRequesterID(by.ID()).SetRequesterUserID(by.User).
		SetNillableIdempotencyKey(in.IdempotencyKey).
		SetRequestedAt(now).SetExpiresAt(now.Add(CommandDeadline))
	if len(in.ClientContext) > 0 {
		create.SetClientContext(in.ClientContext)
	}
	stage := "command.created"
	switch {
	case !verdict.granted:
		stage = "command.rejected"
		create.SetStage(command.StageREJECTED).SetReason(verdict.reason).SetEndedAt(now)
	case d.DeviceID == nil:
		stage, verdict.reason = "command.failed", schema.ReasonUnsupported
		create.SetStage(command.StageFAILED).SetReason(verdict.reason).SetEndedAt(now)
	}
	c, err := create.Save(ctx)
	if err != nil {
		return nil, nil, err
	}
	told := about(c, d, stage)
	told.Reason, told.Key = verdict.reason, verdict.key
	if verb != command.VerbUNLOCK {
		return c, []journal.Event{told}, nil
	}
	return c, []journal.Event{decided(told, verdict), told}, nil
}

// decided is the decision on an unlock as an event of its own.
func decided(told journal.Event, verdict decision) journal.Event {
	told.Type, told.Outcome, told.Method = "access.granted", event.OutcomeGRANTED, event.MethodREMOTE
	told.Reason = schema.ReasonGrantedRemote
	if !verdict.granted {
		told.Type, told.Outcome, told.Reason = "access.denied", event.OutcomeDENIED, verdict.reason
	}
	return told
}

// judge loads what decide needs. The keys are locked against revocation until the commit, so a
// command is created before its key is revoked or not at all.
func (s *Service) judge(
	ctx context.Context, tx *ent.Tx, verb command.Verb, d *ent.Door, who typeid.User,
) (decision, error) {
	person, err := tx.User.Query().Where(user.ID(who)).ForShare().Only(ctx)
	if err != nil {
		return decision{}, fmt.Errorf("load requester: %w", err)
	}
	keys, err := tx.Key.Query().Where(key.UserID(who), covers(d)).ForShare().All(ctx)
	if err != nil {
		return decision{}, fmt.Errorf("load keys: %w", err)
	}
	return decide(verb, d, person, keys, s.now()), nil
}

// covers is true of keys for the door, whatever their state.
func covers(d *ent.Door) func(*sql.Selector) {
	return func(q *sql.Selector) {
		doors := sql.Table(keydoor.Table)
		q.Where(sql.Or(
			sql.EQ(q.C(key.FieldSiteID), d.SiteID),
			sql.In(q.C(key.FieldID), sql.Select(doors.C(keydoor.FieldKeyID)).From(doors).
				Where(sql.And(sql.EQ(doors.C(keydoor.FieldOrgID), d.OrgID),
					sql.EQ(doors.C(keydoor.FieldDoorID), d.ID)))),
		))
	}
}

// dispatch hands a committed command to its device, and ends it at once if nobody holds the link.
func (s *Service) dispatch(
	ctx context.Context, c *ent.Command, d *ent.Door,
) (*ent.Command, error) {
	err := s.devices.Dispatch(ctx, Dispatch{
		Organization: c.OrgID, Device: *d.DeviceID, Command: c.ID, Door: d.ID, Port: *d.DevicePort,
		Verb: c.Verb, Seconds: d.RelockSeconds, IssuedAt: c.RequestedAt, NotAfter: c.ExpiresAt,
	})
	if errors.Is(err, ErrDeviceOffline) {
		return s.advance(ctx, c.ID, step{stage: command.StageFAILED, reason: schema.ReasonDeviceOffline})
	}
	if err != nil { // it may be on its way: its device or its deadline will tell
		s.log.WarnContext(ctx, "dispatch in doubt", "command", c.ID, "error", err)
	}
	return c, nil
}

// about is an event that tells of a command.
func about(c *ent.Command, d *ent.Door, kind string) journal.Event {
	e := journal.Event{Type: kind, Door: d.ID, Site: d.SiteID, Command: c.ID}
	if c.DeviceID != nil {
		e.Device = *c.DeviceID
	}
	if c.RequesterUserID != nil {
		e.User = *c.RequesterUserID
	}
	facts := map[string]any{"verb": c.Verb}
	if len(c.ClientContext) > 0 {
		facts["clientContext"] = c.ClientContext
	}
	e.Data, _ = json.Marshal(facts)
	return e
}
