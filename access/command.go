package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/predicate"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

const (
	// CommandDeadline is how long after it was asked for a command may still run.
	CommandDeadline = 10 * time.Second
	// ConfirmationWindow is how long after its deadline a command that may have reached its device may still
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
	// OperatorReason invokes the operator's right, which needs no key, and says why.
	OperatorReason *string
}

// UnlockDoorPayload holds the command, at whatever stage it is.
type UnlockDoorPayload struct{ Command *ent.Command }

// UnlockDoor asks a door's device to unlock, as the actor's own person or by the operator's right. A
// refusal by the rules is a command with stage REJECTED; a device that is not there, one with FAILED.
func (s *Service) UnlockDoor(ctx context.Context, in UnlockDoorInput) (*UnlockDoorPayload, error) {
	c, err := s.order(ctx, order{
		verb: command.VerbUNLOCK, door: in.DoorID, idempotencyKey: in.IdempotencyKey,
		clientContext: in.ClientContext, operatorReason: in.OperatorReason,
	})
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
	c, err := s.order(ctx, order{
		verb: command.VerbLOCK, door: in.DoorID, idempotencyKey: in.IdempotencyKey,
		clientContext: in.ClientContext,
	})
	if err != nil {
		return nil, err
	}
	return &LockDoorPayload{c}, nil
}

// order is what somebody asks of a door.
type order struct {
	verb           command.Verb
	door           typeid.Door
	idempotencyKey *string
	clientContext  json.RawMessage
	operatorReason *string
	at             predicate.Door // true of the doors that the actor may ask for

	// Whom the rules are asked for, how they come, and what they presented, if anything.
	person     typeid.User
	manner     verdict.Manner
	method     event.Method
	recognized recognized
}

// order creates a command, commits it, and only then hands it to the device.
func (s *Service) order(ctx context.Context, o order) (*ent.Command, error) {
	at, err := commanded(ctx)
	if o.operatorReason != nil {
		at, err = doorsAt(ctx, OperateDoors)
	}
	if err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if first, err := s.firstWithKey(ctx, o); first != nil || err != nil {
		return first, err
	}
	by, _ := actor.FromContext(ctx)
	o.person, o.method, o.at = by.User, event.MethodREMOTE, at
	if o.operatorReason != nil {
		o.manner = verdict.Operator
	}
	return s.carryOut(ctx, o)
}

// carryOut is order once it is clear who asks, and for whom.
func (s *Service) carryOut(ctx context.Context, o order) (*ent.Command, error) {
	var c *ent.Command
	var d *ent.Door
	var turned bool
	carry := func(lock doorLock) error {
		return s.write(ctx, func(tx *ent.Tx) (events []journal.Event, err error) {
			if d, err = lock(ctx, tx, o.door, o.at); err != nil {
				return nil, found(err, "door", "doorId")
			}
			before := d.EffectiveMode
			c, events, err = s.create(ctx, tx, d, o)
			turned = d.EffectiveMode != before
			return events, err
		})
	}
	lock := lockForMany
	if o.recognized.attempt != nil { // which is to be counted, or taken back
		lock = lockForOne
	}
	err := carry(lock)
	if errors.Is(err, errWaitsForFirst) {
		err = carry(lockForOne)
	}
	if turned && err == nil {
		s.configure(ctx, d.DeviceID)
	}
	if errors.Is(err, errKeyUsed) { // the same key at the same moment: the other one won
		return s.firstWithKey(ctx, o)
	}
	if err != nil || c.Stage != command.StageCREATED {
		return c, err
	}
	return s.dispatch(ctx, c, d)
}

func (o order) check() error {
	f := faults{o.faults()}
	return f.err()
}

func (o order) faults() Errors {
	var f faults
	f.optionalText("operatorReason", o.operatorReason, 500)
	if o.idempotencyKey != nil {
		f.text("idempotencyKey", *o.idempotencyKey, 255)
	}
	if len(o.clientContext) > 0 {
		var object map[string]any
		if json.Unmarshal(o.clientContext, &object) != nil || object == nil {
			f.add("clientContext", "must be a JSON object")
		}
		if len(o.clientContext) > 2<<10 {
			f.add("clientContext", "must have at most 2 KiB")
		}
	}
	return f.found
}

// firstWithKey returns the command that the requester's idempotency key stands for, if any. A key
// older than its window is set free.
func (s *Service) firstWithKey(ctx context.Context, o order) (*ent.Command, error) {
	if o.idempotencyKey == nil {
		return nil, nil
	}
	by, _ := actor.FromContext(ctx)
	c, err := s.db.Command.Query().Where(command.RequesterID(by.ID()),
		command.IdempotencyKey(*o.idempotencyKey)).Only(ctx)
	switch {
	case ent.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("load command: %w", err)
	case s.now().Sub(c.RequestedAt) >= IdempotencyWindow:
		return nil, s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
			return nil, tx.Command.UpdateOne(c).ClearIdempotencyKey().Exec(ctx)
		})
	case c.Verb != o.verb || c.DoorID != o.door:
		return nil, errKeyUsed
	}
	return c, nil
}

// create decides, takes a use of the key if it counts them, records the command with the decision,
// and moves whoever is let through.
func (s *Service) create(
	ctx context.Context, tx *ent.Tx, d *ent.Door, o order,
) (*ent.Command, []journal.Event, error) {
	by, _ := actor.FromContext(ctx)
	now := s.now()
	v, err := s.judge(ctx, tx, d, now, o)
	if err != nil {
		return nil, nil, err
	}
	create := tx.Command.Create().SetDoorID(d.ID).SetNillableDeviceID(d.DeviceID).SetVerb(o.verb).
		SetRequesterKind(by.Kind).SetRequesterID(by.ID()).SetRequesterUserID(o.person).
		SetNillableIdempotencyKey(o.idempotencyKey).SetNillableNote(o.operatorReason).
		SetAsOperator(o.operatorReason != nil).
		SetRequestedAt(now).SetExpiresAt(now.Add(CommandDeadline))
	if len(o.clientContext) > 0 {
		create.SetClientContext(o.clientContext)
	}
	stage, reason := "command.created", v.Reason
	switch {
	case !v.Granted:
		stage = "command.rejected"
		create.SetStage(command.StageREJECTED).SetReason(reason).SetEndedAt(now)
	case d.DeviceID == nil:
		stage, reason = "command.failed", schema.ReasonUnsupported
		create.SetStage(command.StageFAILED).SetReason(reason).SetEndedAt(now)
	default:
		used, err := takeUse(ctx, tx, v, o)
		if err != nil {
			return nil, nil, err
		}
		create.SetNillableKeyID(orNil(v.Key))
		if len(used) > 0 {
			create.SetUsedKeyIds(used)
		}
	}
	c, err := create.Save(ctx)
	if err != nil {
		return nil, nil, err
	}
	told := about(c, d, stage)
	told.Reason, told.Key = reason, v.Key
	if o.verb != command.VerbUNLOCK {
		return c, []journal.Event{told}, nil
	}
	events := []journal.Event{decided(told, v, o.method), told}
	moved, err := letThrough(ctx, tx, c, d, v)
	if err != nil {
		return nil, nil, err
	}
	arrived, err := s.arrivedBy(ctx, tx, c)
	if err != nil {
		return nil, nil, err
	}
	more, err := o.presentedEvents(ctx, tx, d, told, v)
	events = slices.Concat(events, moved, arrived, more)
	if err != nil || c.Stage != command.StageCREATED || o.operatorReason != nil || !waitsForFirst(d) {
		return c, events, err
	}
	first, err := s.letIn(ctx, tx, d, o.person, now)
	return c, append(events, first...), err
}

// decided is the decision on an unlock as an event of its own.
func decided(told journal.Event, v verdict.Verdict, by event.Method) journal.Event {
	told.Type, told.Outcome, told.Method = "access.granted", event.OutcomeGRANTED, by
	told.Reason = v.Reason
	if !v.Granted {
		told.Type, told.Outcome = "access.denied", event.OutcomeDENIED
	}
	return told
}

// judge loads what bears on the question and decides it. The person and the keys stay as they are
// until the commit, so a command is created before its key is revoked or not at all.
func (s *Service) judge(
	ctx context.Context, tx *ent.Tx, d *ent.Door, at time.Time, o order,
) (verdict.Verdict, error) {
	people := []typeid.User{o.person}
	policy, err := s.policyFor(ctx, tx.Client(), people, []*ent.Door{d}, at, held)
	if err != nil {
		return verdict.Verdict{}, err
	}
	q := verdict.Question{
		Person: o.person, Door: d.ID, At: at, Lock: o.verb == command.VerbLOCK, Manner: o.manner,
	}
	if q.Credential, err = o.judgeCredential(ctx, tx); err != nil {
		return verdict.Verdict{}, err
	}
	return policy.Decide(q), nil
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
