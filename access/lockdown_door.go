package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/device"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/lockdown"
	"github.com/cardea/cardea/ent/lockdowndoor"
	"github.com/cardea/cardea/ent/predicate"
	"github.com/cardea/cardea/ent/site"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

const (
	// tellingTime is how long devices may take to be told; what follows it fits into the fifth second.
	tellingTime = 4 * time.Second
	// recordingTime bounds what is recorded after that.
	recordingTime = 2 * time.Second
	// appliedEvery is how often it is looked whether other nodes have told theirs.
	appliedEvery = 20 * time.Millisecond
)

// passLock names what unlocks share with others of their organization, and a lockdown has to itself.
func passLock(org string) string { return "hashtextextended('lockdown ' || " + org + "::text, 0)" }

// goFirst lets no more unlocks begin in the organization until the transaction ends. Where they share
// a row's lock, Postgres lets others share it while a lockdown waits, for as long as there are any;
// for this lock they stand in line.
func goFirst(ctx context.Context, tx *ent.Tx) error {
	by, _ := actor.FromContext(ctx)
	_, err := tx.Client().ExecContext(ctx,
		"SELECT pg_advisory_xact_lock("+passLock("$1")+")", by.Organization)
	if err != nil {
		return fmt.Errorf("go before unlocks: %w", err)
	}
	return nil
}

// behindLockdowns is true of all doors, and waits for whoever goes first.
func behindLockdowns(q *sql.Selector) {
	q.Where(sql.ExprP("(SELECT pg_advisory_xact_lock_shared(" +
		passLock(q.C(door.FieldOrgID)) + ")) IS NOT NULL"))
}

// holdPlaces locks the doors that a plan closes now. Its sites are locked too, so that a door that is
// being created there comes before or after.
func holdPlaces(ctx context.Context, tx *ent.Tx, plan *ent.LockdownPlan) ([]*ent.Door, error) {
	_, err := tx.Site.Query().Where(forChange, whose(site.FieldID, plan.SiteIds)).Order(site.ByID()).
		All(ctx)
	if err != nil {
		return nil, fmt.Errorf("lock sites: %w", err)
	}
	return holdWithDevices(ctx, tx, func(q *sql.Selector) {
		q.Where(sql.Or(anyOf(q.C(door.FieldSiteID), plan.SiteIds),
			anyOf(q.C(door.FieldID), plan.DoorIds)))
	})
}

// touchedBy are the sites of what a plan closes now.
func touchedBy(
	ctx context.Context, tx *ent.Tx, plan *ent.LockdownPlan,
) ([]typeid.Site, error) {
	doors, err := tx.Door.Query().Where(whose(door.FieldID, plan.DoorIds)).Order(door.ByID()).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load doors: %w", err)
	}
	return touched(nil, plan, doors), nil
}

// touched adds the sites of a plan, if any, and of doors to those that a lockdown touches.
func touched(sites []typeid.Site, plan *ent.LockdownPlan, doors []*ent.Door) []typeid.Site {
	all := slices.Clone(sites)
	if plan != nil {
		all = append(all, plan.SiteIds...)
	}
	for _, d := range doors {
		all = append(all, d.SiteID)
	}
	return onceEach(all)
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

// unreachedBy is true of the doors of a lockdown whose devices are not known to have it.
func unreachedBy(id typeid.Lockdown) predicate.Door {
	return func(q *sql.Selector) {
		q.Where(among(q.C(door.FieldID), `SELECT door_id FROM lockdown_doors
			WHERE lockdown_id = ? AND released_at IS NULL AND outcome <> ?`,
			id, lockdowndoor.OutcomeAPPLIED))
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

// awaitApplied waits until all of some doors of a lockdown are APPLIED, or ctx ends.
func (s *Service) awaitApplied(
	ctx context.Context, id typeid.Lockdown, doors []typeid.Door,
) error {
	tick := time.NewTicker(appliedEvery)
	defer tick.Stop()
	for {
		waiting, err := s.reserve.LockdownDoor.Query().Where(lockdowndoor.LockdownID(id),
			lockdowndoor.OutcomeNEQ(lockdowndoor.OutcomeAPPLIED),
			whose(lockdowndoor.FieldDoorID, doors)).Count(ctx)
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
		doors, err := tx.Door.Query().Where(whose(door.FieldID, ids)).Order(door.ByID()).All(ctx)
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

// sweepBatch bounds how many lockdowns one round of SweepLockdowns handles.
const sweepBatch = 200

// SweepLockdowns ends the lockdowns of all organizations that have come to their end or were not
// confirmed in time, and gives up on devices that nobody tells any more. It returns how many it ended.
// Many nodes may call it at once.
func (s *Service) SweepLockdowns(ctx context.Context) (int, error) {
	ctx = actor.NewContext(ctx, actor.System("sweeper"))
	ended, err := s.endLockdowns(ctx)
	return ended, errors.Join(err, s.forgetPending(ctx))
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
	const given = tellingTime + recordingTime + time.Second
	left, err := s.reserve.Lockdown.Query().Where(lockdown.StateEQ(lockdown.StateACTIVE),
		lockdown.ActivatedAtLTE(s.now().Add(-given)), func(q *sql.Selector) {
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
