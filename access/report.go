package access

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/device"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// Report is one entry of a device's log: what it saw, or what came of a command.
type Report struct {
	Sequence   int64 // numbers the log's entries, from 1
	OccurredAt time.Time
	Delivery   event.Delivery
	Port       int
	Type       string // of the catalogue, and Reportable; may be empty with a Result
	LockState  door.LockState
	Position   door.Position
	User       typeid.User // who the device let through, or refused
	Method     event.Method
	Outcome    event.Outcome
	Reason     schema.Reason
	Data       json.RawMessage
	Result     *Result
}

// Result is what came of a command, as its device says.
type Result struct {
	Command      typeid.Command
	Stage        command.Stage // ACKNOWLEDGED, CONFIRMED, REJECTED, FAILED or EXPIRED
	Reason       schema.Reason
	Confirmation command.Confirmation
}

// RecordReports commits entries of the log of the device of ctx, in their order, and returns the
// sequence up to which it may forget them. An entry that was committed before does nothing. A hole
// is journalled as device.events_lost. It fails with ErrStaleEpoch if the link is not the newest,
// and with BAD_USER_INPUT, having recorded nothing, if an entry makes no sense.
//
// A LIVE entry sets what is known of its door; a late one does so only if nothing newer is known.
func (s *Service) RecordReports(
	ctx context.Context, epoch int64, reports []Report,
) (acked int64, err error) {
	for _, r := range reports {
		if err := r.check(); err != nil {
			return 0, err
		}
	}
	var turned *typeid.Device
	err = s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		var events []journal.Event
		acked, turned, events, err = s.record(ctx, tx, epoch, reports)
		return events, err
	})
	if err == nil {
		s.configure(ctx, turned)
	}
	return acked, err
}

// record returns the device if the mode of one of its doors has turned by what it reports.
func (s *Service) record(
	ctx context.Context, tx *ent.Tx, epoch int64, reports []Report,
) (int64, *typeid.Device, []journal.Event, error) {
	by, _ := actor.FromContext(ctx)
	dev, err := tx.Device.Query().Where(device.ID(by.Device), forChange).Only(ctx)
	if err != nil {
		return 0, nil, nil, found(err, "device", "deviceId")
	}
	if dev.Epoch != epoch {
		return 0, nil, nil, ErrStaleEpoch
	}
	intake := intake{s: s, tx: tx, dev: dev, acked: dev.LastSequence, now: s.now()}
	if err := intake.load(ctx, reports); err != nil {
		return 0, nil, nil, err
	}
	for _, r := range reports {
		if r.Sequence <= intake.acked {
			continue
		}
		if err := intake.take(ctx, r); err != nil {
			return 0, nil, nil, err
		}
	}
	if intake.acked == dev.LastSequence {
		return intake.acked, nil, nil, nil
	}
	if err := intake.save(ctx); err != nil {
		return 0, nil, nil, err
	}
	turned, err := intake.letIn(ctx)
	return intake.acked, turned, intake.events, err
}

// check refuses an entry that no state of the model could make sense of.
func (r Report) check() error {
	var f faults
	if r.Sequence < 1 {
		f.add("sequence", "must be positive")
	}
	if kind, ok := journal.Lookup(r.Type); r.Type != "" && (!ok || !kind.Reportable) {
		f.add("type", "is not one that a device may report")
	}
	if r.Type == "" && r.Result == nil {
		f.add("type", "is missing")
	}
	if r.OccurredAt.IsZero() {
		f.add("at", "is missing")
	}
	f.enum("lockState", r.LockState == "" || door.LockStateValidator(r.LockState) == nil)
	f.enum("position", r.Position == "" || door.PositionValidator(r.Position) == nil)
	f.enum("method", r.Method == "" || event.MethodValidator(r.Method) == nil)
	f.enum("outcome", r.Outcome == "" || event.OutcomeValidator(r.Outcome) == nil)
	f.enum("reason", r.Reason == "" || event.ReasonValidator(r.Reason) == nil)
	if r.Result != nil {
		f.result(*r.Result)
	}
	return f.err()
}

func (f *faults) result(r Result) {
	switch r.Stage {
	case command.StageACKNOWLEDGED, command.StageCONFIRMED, command.StageREJECTED,
		command.StageFAILED, command.StageEXPIRED:
	default:
		f.add("stage", "is not one that a device may report")
	}
	f.enum("reason", r.Reason == "" || event.ReasonValidator(r.Reason) == nil)
	f.enum("confirmation",
		r.Confirmation == "" || command.ConfirmationValidator(r.Confirmation) == nil)
}

func (f *faults) enum(field string, ok bool) {
	if !ok {
		f.add(field, "is not a known value")
	}
}

// intake gathers what one batch of reports changes.
type intake struct {
	s      *Service
	tx     *ent.Tx
	dev    *ent.Device
	now    time.Time
	doors  map[int]*ent.Door // by port
	fresh  map[int]bool      // ports whose door changed
	users  map[typeid.User]bool
	let    []entry // at doors that wait for a first person
	acked  int64
	events []journal.Event
}

func (in *intake) load(ctx context.Context, reports []Report) error {
	query := in.tx.Door.Query().Where(door.DeviceID(in.dev.ID)).Order(door.ByID())
	if slices.ContainsFunc(reports, Report.moves) { // doors before areas, as whoever unlocks
		query.Where(forChange)
	}
	doors, err := query.All(ctx)
	if err != nil {
		return fmt.Errorf("load doors: %w", err)
	}
	in.doors, in.fresh = make(map[int]*ent.Door, len(doors)), map[int]bool{}
	for _, d := range doors {
		in.doors[*d.DevicePort] = d
	}
	var named []typeid.User
	for _, r := range reports {
		if !r.User.IsZero() {
			named = append(named, r.User)
		}
	}
	if len(named) == 0 {
		return nil
	}
	known, err := in.tx.User.Query().Where(user.IDIn(named...)).All(ctx)
	if err != nil {
		return fmt.Errorf("load users: %w", err)
	}
	in.users = make(map[typeid.User]bool, len(known))
	for _, u := range known {
		in.users[u.ID] = true
	}
	return nil
}

// take applies one entry.
func (in *intake) take(ctx context.Context, r Report) error {
	if in.dev.Connectivity != schema.ConnectivityOnline {
		in.comeBack()
	}
	if r.Sequence > in.acked+1 {
		in.hole(in.acked+1, r.Sequence-1)
	}
	in.acked = r.Sequence
	told := in.event(r)
	if r.Result != nil {
		if err := in.result(ctx, r, &told); err != nil {
			return err
		}
	}
	in.observe(r)
	in.entered(r)
	if told.Type = kindOf(r); told.Type != "" {
		in.events = append(in.events, told)
	}
	return in.pass(ctx, r, told)
}

// comeBack mends what MarkOffline did to a device that was not gone.
func (in *intake) comeBack() {
	in.dev.Connectivity = schema.ConnectivityOnline
	for port := range in.doors {
		in.doors[port].Connectivity, in.fresh[port] = schema.ConnectivityOnline, true
	}
	in.events = append(in.events, linkEvent("device.connected", in.dev))
}

func (in *intake) hole(from, to int64) {
	lost, _ := json.Marshal(map[string]int64{"from": from, "to": to})
	in.events = append(in.events, journal.Event{
		Type: "device.events_lost", Site: in.dev.SiteID, Device: in.dev.ID, Data: lost,
	})
}

// kindOf is the event type of an entry. A result is told of by its lock state, if it has one.
func kindOf(r Report) string {
	if r.Type != "" {
		return r.Type
	}
	switch r.LockState {
	case door.LockStateLOCKED:
		return "lock.locked"
	case door.LockStateUNLOCKED, door.LockStateUNLATCHED:
		return "lock.unlocked"
	case door.LockStateJAMMED:
		return "lock.jammed"
	case door.LockStateLOCKING, door.LockStateUNLOCKING, door.LockStateUNKNOWN:
	}
	return ""
}

func (in *intake) event(r Report) journal.Event {
	e := journal.Event{
		OccurredAt: r.OccurredAt, ReceivedAt: in.now, Delivery: r.Delivery,
		Site: in.dev.SiteID, Device: in.dev.ID, Outcome: r.Outcome, Reason: r.Reason,
		Method: r.Method, Data: r.Data,
	}
	if d := in.doors[r.Port]; d != nil {
		e.Door, e.Site = d.ID, d.SiteID
	}
	if in.users[r.User] {
		e.User = r.User
	}
	return e
}

// result moves the command that an entry tells of, and lends the entry's event the command's person:
// the device cannot know who asked. A command that is not this device's is passed over.
func (in *intake) result(ctx context.Context, r Report, told *journal.Event) error {
	c, err := in.tx.Command.Query().
		Where(command.ID(r.Result.Command), command.DeviceID(in.dev.ID)).Only(ctx)
	if ent.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("load command: %w", err)
	}
	told.Command, told.Method = c.ID, event.MethodREMOTE
	if c.RequesterUserID != nil {
		told.User = *c.RequesterUserID
	}
	_, events, err := in.s.move(ctx, in.tx, c.ID, step{
		stage: r.Result.Stage, reason: r.Result.Reason, confirmation: r.Result.Confirmation,
		at: in.now,
	})
	in.events = append(in.events, events...)
	return err
}

// moves says whether an entry may change where people are.
func (r Report) moves() bool {
	return r.Type == "access.granted" || r.Type == "access.no_entry" ||
		r.Result != nil && undone[r.Result.Stage]
}

// pass takes over that the device let somebody through, or that they did not go. It has happened:
// nothing is enforced. Whom a command let through is moved by the command.
func (in *intake) pass(ctx context.Context, r Report, told journal.Event) error {
	d := in.doors[r.Port]
	if d == nil || told.User.IsZero() || !r.moves() {
		return nil
	}
	p := passage{user: told.User, door: d, at: in.now, late: r.late(), told: journal.Event{
		Door: d.ID, Device: in.dev.ID, OccurredAt: r.OccurredAt, ReceivedAt: in.now, Delivery: r.Delivery,
	}}
	if p.late {
		p.at = in.instant(r)
	}
	var events []journal.Event
	var err error
	switch {
	case r.Type == "access.no_entry":
		events, err = p.takeBack(ctx, in.tx, lastBy(d.ID, p.at))
	case r.Type == "access.granted" && r.Result == nil:
		events, err = p.through(ctx, in.tx)
	}
	in.events = append(in.events, events...)
	return err
}

// late says whether something newer may be known.
func (r Report) late() bool { return r.Delivery != "" && r.Delivery != event.DeliveryLIVE }

// instant is when an entry happened: a clock that runs ahead must not make later news look old.
func (in *intake) instant(r Report) time.Time {
	if seen := r.OccurredAt.UTC().Truncate(time.Microsecond); seen.Before(in.now) {
		return seen
	}
	return in.now
}

// observe takes over the lock state and position that an entry shows.
func (in *intake) observe(r Report) {
	d := in.doors[r.Port]
	lock, position := shown(r)
	if d == nil || lock == "" && position == "" {
		return
	}
	seen := in.instant(r)
	if r.late() && d.ObservedAt != nil && seen.Before(*d.ObservedAt) {
		return
	}
	if lock != "" {
		d.LockState = lock
	}
	if position != "" {
		d.Position = position
	}
	d.ObservedAt, in.fresh[r.Port] = &seen, true
}

// shown is the state that an entry shows: what it says, or what its type implies.
func shown(r Report) (door.LockState, door.Position) {
	lock, position := r.LockState, r.Position
	noun, verb, _ := strings.Cut(r.Type, ".")
	if lock == "" && noun == "lock" {
		lock = map[string]door.LockState{
			"locked": door.LockStateLOCKED, "unlocked": door.LockStateUNLOCKED,
			"jammed": door.LockStateJAMMED, "state_unknown": door.LockStateUNKNOWN,
		}[verb]
	}
	if position == "" && noun == "door" {
		position = map[string]door.Position{
			"opened": door.PositionOPEN, "closed": door.PositionCLOSED,
			"forced_open": door.PositionOPEN, "held_open": door.PositionOPEN,
		}[verb]
	}
	return lock, position
}

func (in *intake) save(ctx context.Context) error {
	for port := range in.fresh {
		d := in.doors[port]
		err := in.tx.Door.UpdateOneID(d.ID).SetLockState(d.LockState).SetPosition(d.Position).
			SetConnectivity(d.Connectivity).SetNillableObservedAt(d.ObservedAt).Exec(ctx)
		if err != nil {
			return fmt.Errorf("update door: %w", err)
		}
	}
	err := in.tx.Device.UpdateOneID(in.dev.ID).SetLastSequence(in.acked).SetLastSeenAt(in.now).
		SetConnectivity(in.dev.Connectivity).Exec(ctx)
	if err != nil {
		return fmt.Errorf("update device: %w", err)
	}
	return nil
}
