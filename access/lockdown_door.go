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
	"github.com/cardea/cardea/ent/device"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/lockdown"
	"github.com/cardea/cardea/ent/lockdowndoor"
	"github.com/cardea/cardea/ent/predicate"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/ent/site"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

const (
	// tellingTime is how long devices may take to be told; what follows it fits into the fifth second.
	tellingTime = 4 * time.Second
	// recordingTime bounds what is recorded after that.
	recordingTime = 2 * time.Second
	// tellers is how many devices are told at once.
	tellers = 64
	// appliedEvery is how often it is looked whether other nodes have told theirs.
	appliedEvery = 20 * time.Millisecond
)

// holdPlaces locks the doors that a plan closes now. Its sites are locked too, so that a door that is
// being created there comes before or after.
func holdPlaces(ctx context.Context, tx *ent.Tx, plan *ent.LockdownPlan) ([]*ent.Door, error) {
	_, err := tx.Site.Query().Where(forChange, func(q *sql.Selector) {
		q.Where(anyOf(q.C(site.FieldID), plan.SiteIds))
	}).Order(site.ByID()).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("lock sites: %w", err)
	}
	return holdWithDevices(ctx, tx, func(q *sql.Selector) {
		q.Where(sql.Or(anyOf(q.C(door.FieldSiteID), plan.SiteIds),
			anyOf(q.C(door.FieldID), plan.DoorIds)))
	})
}

// holdWithDevices locks doors, after their devices: what these report changes doors and commands too.
func holdWithDevices(ctx context.Context, tx *ent.Tx, which predicate.Door) ([]*ent.Door, error) {
	_, err := tx.Device.Query().Where(forChange, func(q *sql.Selector) {
		doors := sql.Table(door.Table).As("driven")
		of := sql.Select(doors.C(door.FieldDeviceID)).From(doors)
		which(of)
		q.Where(sql.In(q.C(device.FieldID), of))
	}).Order(device.ByID()).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("lock devices: %w", err)
	}
	doors, err := tx.Door.Query().Where(which, forChange).Order(door.ByID()).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("lock doors: %w", err)
	}
	return doors, nil
}

// closedBy is true of the doors that a lockdown has closed.
func closedBy(id typeid.Lockdown) predicate.Door {
	return func(q *sql.Selector) {
		q.Where(among(q.C(door.FieldID),
			"SELECT door_id FROM lockdown_doors WHERE lockdown_id = ? AND released_at IS NULL", id))
	}
}

// closingSite is true of lockdowns whose plans close all of a site.
func closingSite(id typeid.Site) predicate.Lockdown {
	listed, _ := json.Marshal([]typeid.Site{id})
	return func(q *sql.Selector) {
		q.Where(among(q.C(lockdown.FieldPlanID),
			"SELECT id FROM lockdown_plans WHERE site_ids @> ?::jsonb", string(listed)))
	}
}

// enforce tells the devices of doors that a lockdown has closed, and waits until they are told, but
// not beyond an instant. The doors of the others are then UNREACHED. It goes on if the caller hangs
// up.
func (s *Service) enforce(
	ctx context.Context, l *ent.Lockdown, closed []*ent.Door, by time.Time,
) {
	ctx = context.WithoutCancel(ctx)
	telling, cancel := context.WithDeadline(ctx, by)
	defer cancel()
	told := s.tellDevices(telling, devicesOf(closed))
	var awaited []typeid.Door
	for _, d := range closed {
		if d.DeviceID != nil && told[*d.DeviceID] {
			awaited = append(awaited, d.ID)
		}
	}
	err := s.awaitApplied(telling, l.ID, awaited)
	recording, cancel := context.WithTimeout(ctx, recordingTime)
	defer cancel()
	if err = errors.Join(err, s.giveUp(recording, l.ID)); err != nil {
		s.log.ErrorContext(ctx, "doors of a lockdown not recorded; the sweeper will",
			"lockdown", l.ID.String(), "error", err)
	}
}

// tellReleased tells the devices of doors that a lockdown has let go.
func (s *Service) tellReleased(ctx context.Context, opened []*ent.Door, by time.Time) {
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), by)
	defer cancel()
	s.tellDevices(ctx, devicesOf(opened))
}

// devicesOf is the devices of doors, each once: those that are thought to be online first.
func devicesOf(doors []*ent.Door) []typeid.Device {
	var online, others []typeid.Device
	for _, d := range doors {
		switch {
		case d.DeviceID == nil:
		case d.Connectivity == schema.ConnectivityOnline:
			online = append(online, *d.DeviceID)
		default:
			others = append(others, *d.DeviceID)
		}
	}
	return onceEach(append(online, others...))
}

// tellDevices tells devices what their doors are, some at once, and returns to whom it may have got when all
// are told or ctx ends. A device that does not read holds up nobody but itself, until its link ends.
func (s *Service) tellDevices(ctx context.Context, devices []typeid.Device) map[typeid.Device]bool {
	queue := make(chan typeid.Device, len(devices))
	for _, id := range devices {
		queue <- id
	}
	close(queue)
	type answer struct {
		id   typeid.Device
		told bool
	}
	answers := make(chan answer, len(devices))
	for range min(tellers, len(devices)) {
		go func() {
			for id := range queue {
				answers <- answer{id, ctx.Err() == nil && s.configure(ctx, &id)}
			}
		}()
	}
	told := make(map[typeid.Device]bool, len(devices))
	for range devices {
		select {
		case a := <-answers:
			told[a.id] = a.told
		case <-ctx.Done():
			return told
		}
	}
	return told
}

// awaitApplied waits until none of the doors of a lockdown is PENDING, or ctx ends.
func (s *Service) awaitApplied(
	ctx context.Context, id typeid.Lockdown, doors []typeid.Door,
) error {
	tick := time.NewTicker(appliedEvery)
	defer tick.Stop()
	for {
		waiting, err := s.reserve.LockdownDoor.Query().Where(lockdowndoor.LockdownID(id),
			lockdowndoor.OutcomeEQ(lockdowndoor.OutcomePENDING),
			func(q *sql.Selector) { q.Where(anyOf(q.C(lockdowndoor.FieldDoorID), doors)) }).Count(ctx)
		if ctx.Err() != nil || err == nil && waiting == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look for pending doors: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// giveUp records of the doors of a lockdown that are still PENDING that their devices were not
// reached, and tells of each.
func (s *Service) giveUp(ctx context.Context, id typeid.Lockdown) error {
	return s.writeTo(ctx, s.reserve, func(tx *ent.Tx) ([]journal.Event, error) {
		pending, err := tx.LockdownDoor.Query().Where(lockdowndoor.LockdownID(id),
			lockdowndoor.OutcomeEQ(lockdowndoor.OutcomePENDING), lockdowndoor.ReleasedAtIsNil(),
			forChange).Order(lockdowndoor.ByDoorID()).All(ctx)
		if err != nil || len(pending) == 0 {
			return nil, err
		}
		ids := make([]typeid.Door, len(pending))
		for i, row := range pending {
			ids[i] = row.DoorID
		}
		err = tx.LockdownDoor.Update().Where(lockdowndoor.LockdownID(id),
			lockdowndoor.OutcomeEQ(lockdowndoor.OutcomePENDING), lockdowndoor.ReleasedAtIsNil()).
			SetOutcome(lockdowndoor.OutcomeUNREACHED).Exec(ctx)
		if err != nil {
			return nil, fmt.Errorf("record unreached doors: %w", err)
		}
		doors, err := tx.Door.Query().Where(func(q *sql.Selector) {
			q.Where(anyOf(q.C(door.FieldID), ids))
		}).Order(door.ByID()).All(ctx)
		if err != nil {
			return nil, fmt.Errorf("load doors: %w", err)
		}
		events := make([]journal.Event, len(doors))
		for i, d := range doors {
			events[i] = unreachedEvent(id, d)
		}
		return events, nil
	})
}

// RecordLockdown records that the device of ctx has been told of doors that are in lockdown: they
// are APPLIED. It is bookkeeping, like when a device was last seen, and no event.
func (s *Service) RecordLockdown(ctx context.Context, doors []typeid.Door) error {
	if len(doors) == 0 {
		return nil
	}
	err := s.reserve.LockdownDoor.Update().Where(
		func(q *sql.Selector) { q.Where(anyOf(q.C(lockdowndoor.FieldDoorID), doors)) },
		lockdowndoor.ReleasedAtIsNil(), lockdowndoor.OutcomeNEQ(lockdowndoor.OutcomeAPPLIED),
	).SetOutcome(lockdowndoor.OutcomeAPPLIED).Exec(ctx)
	if err != nil {
		return fmt.Errorf("record lockdown: %w", err)
	}
	return nil
}

// unapply takes note that doors in lockdown have another device, or none, which has yet to be told.
func unapply(ctx context.Context, tx *ent.Tx, doors predicate.Door) error {
	err := tx.LockdownDoor.Update().Where(lockdowndoor.ReleasedAtIsNil(), func(q *sql.Selector) {
		d := sql.Table(door.Table).As("moved")
		of := sql.Select(d.C(door.FieldID)).From(d)
		doors(of)
		q.Where(sql.In(q.C(lockdowndoor.FieldDoorID), of))
	}).SetOutcome(lockdowndoor.OutcomeUNREACHED).Exec(ctx)
	if err != nil {
		return fmt.Errorf("unapply lockdowns: %w", err)
	}
	return nil
}

// sweepBatch bounds how many lockdowns, and how many devices, one round of SweepLockdowns handles.
const sweepBatch = 200

// SweepLockdowns ends the lockdowns of all organizations that have come to their end or were not
// confirmed in time, and tells again the devices that are online and were not reached. It returns how
// many it ended. Many nodes may call it at once.
func (s *Service) SweepLockdowns(ctx context.Context) (int, error) {
	ctx = actor.NewContext(ctx, actor.System("sweeper"))
	ended, err := s.endLockdowns(ctx)
	return ended, errors.Join(err, s.forgetPending(ctx), s.tellAgain(ctx))
}

func (s *Service) endLockdowns(ctx context.Context) (int, error) {
	now := s.now()
	due, err := s.reserve.Lockdown.Query().Where(func(q *sql.Selector) {
		q.Where(sql.Or(
			sql.And(sql.EQ(q.C(lockdown.FieldState), lockdown.StateACTIVE),
				sql.LTE(q.C(lockdown.FieldRevertsAt), now)),
			sql.And(sql.EQ(q.C(lockdown.FieldState), lockdown.StateREQUESTED),
				sql.LTE(q.C(lockdown.FieldRequestedAt), now.Add(-SecondPersonWindow)))))
	}).Limit(sweepBatch).All(ctx)
	if err != nil {
		return 0, fmt.Errorf("find lockdowns that are over: %w", err)
	}
	sweeper, _ := actor.FromContext(ctx)
	var failed error
	for _, l := range due {
		within := actor.NewContext(ctx, sweeper.Within(l.OrgID))
		failed = errors.Join(failed, s.endDue(within, l))
	}
	return len(due), failed
}

// endDue ends one that is over, unless somebody has meanwhile.
func (s *Service) endDue(ctx context.Context, l *ent.Lockdown) error {
	var opened []*ent.Door
	err := s.writeTo(ctx, s.reserve, func(tx *ent.Tx) (events []journal.Event, err error) {
		if _, err := s.holdPlan(ctx, tx, l.PlanID, ""); err != nil {
			return nil, err
		}
		now, err := holdLockdown(ctx, tx, l.ID)
		if err != nil || !s.isOver(now) {
			return nil, err
		}
		opened, events, err = s.endLockdown(ctx, tx, now)
		return events, err
	})
	if err != nil {
		return err
	}
	s.tellReleased(ctx, opened, time.Now().Add(tellingTime))
	return nil
}

// forgetPending gives up on what a node left PENDING that died while it was telling devices.
func (s *Service) forgetPending(ctx context.Context) error {
	const patience = tellingTime + recordingTime + time.Second
	left, err := s.reserve.Lockdown.Query().Where(lockdown.StateEQ(lockdown.StateACTIVE),
		lockdown.ActivatedAtLTE(s.now().Add(-patience)), func(q *sql.Selector) {
			q.Where(among(q.C(lockdown.FieldID), `SELECT lockdown_id FROM lockdown_doors
				WHERE released_at IS NULL AND outcome = ?`, lockdowndoor.OutcomePENDING))
		}).Limit(sweepBatch).All(ctx)
	if err != nil {
		return fmt.Errorf("find pending doors: %w", err)
	}
	sweeper, _ := actor.FromContext(ctx)
	var failed error
	for _, l := range left {
		within := actor.NewContext(ctx, sweeper.Within(l.OrgID))
		failed = errors.Join(failed, s.giveUp(within, l.ID))
	}
	return failed
}

// tellAgain tells devices that are online, have a door in lockdown and do not know.
func (s *Service) tellAgain(ctx context.Context) error {
	ignorant, err := s.reserve.Device.Query().
		Where(device.ConnectivityEQ(schema.ConnectivityOnline), func(q *sql.Selector) {
			q.Where(among(q.C(device.FieldID), `SELECT d.device_id FROM lockdown_doors c
				JOIN doors d ON d.org_id = c.org_id AND d.id = c.door_id
				WHERE c.released_at IS NULL AND c.outcome = ?`, lockdowndoor.OutcomeUNREACHED))
		}).Limit(sweepBatch).All(ctx)
	if err != nil {
		return fmt.Errorf("find devices to tell again: %w", err)
	}
	sweeper, _ := actor.FromContext(ctx)
	within := map[typeid.Organization][]typeid.Device{}
	for _, dev := range ignorant {
		within[dev.OrgID] = append(within[dev.OrgID], dev.ID)
	}
	ctx, cancel := context.WithTimeout(ctx, tellingTime)
	defer cancel()
	for org, devices := range within {
		s.tellDevices(actor.NewContext(ctx, sweeper.Within(org)), devices)
	}
	return nil
}
