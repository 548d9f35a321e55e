package access

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/apitoken"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/grant"
	"github.com/cardea/cardea/ent/lockdown"
	"github.com/cardea/cardea/ent/lockdowndoor"
	"github.com/cardea/cardea/ent/lockdownplan"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/ent/usergroup"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// SecondPersonWindow is how long after a first person asked for a lockdown, or for its release, a
// second one may confirm.
const SecondPersonWindow = 5 * time.Minute

// TriggerLockdownInput names a plan, and says why it is triggered.
type TriggerLockdownInput struct {
	PlanID typeid.LockdownPlan
	Note   *string
}

// TriggerLockdownPayload holds the lockdown, in force or asked for.
type TriggerLockdownPayload struct{ Lockdown *ent.Lockdown }

// TriggerLockdown closes the doors of a plan to everybody; leaving stays free, as it is the
// hardware's. Where the plan wants two people, the first call asks and another person's confirms.
// Triggered again, a lockdown stays as it is, and tells again what devices were not reached.
//
// From the commit on no unlock of these doors is created, and those on their way are CANCELLED. It
// returns, within five seconds, when every device that can be told has been, so that none of them
// unlocks after it; the doors of the others are UNREACHED.
func (s *Service) TriggerLockdown(
	ctx context.Context, in TriggerLockdownInput,
) (*TriggerLockdownPayload, error) {
	by := time.Now().Add(tellingTime)
	if err := Authorize(ctx, TriggerLockdowns); err != nil {
		return nil, err
	}
	var f faults
	f.optionalText("note", in.Note, 500)
	if err := f.err(); err != nil {
		return nil, err
	}
	var l *ent.Lockdown
	var closed []*ent.Door
	err := s.writeTo(ctx, s.reserve, func(tx *ent.Tx) (events []journal.Event, err error) {
		plan, err := s.holdPlan(ctx, tx, in.PlanID, "planId")
		if err != nil {
			return nil, err
		}
		if err := s.mayClose(ctx, tx, plan, plan.TriggerGroupID); err != nil {
			return nil, err
		}
		l, closed, events, err = s.triggerPlan(ctx, tx, plan, in.Note)
		return events, err
	})
	if err != nil {
		return nil, err
	}
	if len(closed) > 0 {
		s.enforce(ctx, l, closed, by)
	}
	return &TriggerLockdownPayload{l}, nil
}

// ReleaseLockdownInput names a lockdown.
type ReleaseLockdownInput struct{ LockdownID typeid.Lockdown }

// ReleaseLockdownPayload holds the lockdown, released or asked to be.
type ReleaseLockdownPayload struct{ Lockdown *ent.Lockdown }

// ReleaseLockdown ends a lockdown: its doors are again what they are without it. Where the plan wants
// two people, the first call asks and another person's confirms. One that has ended stays as it is.
func (s *Service) ReleaseLockdown(
	ctx context.Context, in ReleaseLockdownInput,
) (*ReleaseLockdownPayload, error) {
	by := time.Now().Add(tellingTime)
	visible, err := s.lockdownsFor(ctx, TriggerLockdowns)
	if err != nil {
		return nil, err
	}
	var l *ent.Lockdown
	var opened []*ent.Door
	err = s.writeTo(ctx, s.reserve, func(tx *ent.Tx) (events []journal.Event, err error) {
		l, err = tx.Lockdown.Query().Where(lockdown.ID(in.LockdownID), visible).Only(ctx)
		if err != nil {
			return nil, found(err, "lockdown", "lockdownId")
		}
		plan, err := s.holdPlan(ctx, tx, l.PlanID, "lockdownId")
		if err != nil {
			return nil, err
		}
		if err := s.mayClose(ctx, tx, plan, plan.ReleaseGroupID); err != nil {
			return nil, err
		}
		if l, err = holdLockdown(ctx, tx, l.ID); err != nil {
			return nil, err
		}
		l, opened, events, err = s.askRelease(ctx, tx, plan, l)
		return events, err
	})
	if err != nil {
		return nil, err
	}
	s.tellReleased(ctx, opened, by)
	return &ReleaseLockdownPayload{l}, nil
}

// holdPlan locks a plan that the actor may see. All changes of its lockdowns wait for each other
// here.
func (s *Service) holdPlan(
	ctx context.Context, tx *ent.Tx, id typeid.LockdownPlan, field string,
) (*ent.LockdownPlan, error) {
	visible, err := s.plansFor(ctx, TriggerLockdowns)
	if err != nil {
		return nil, err
	}
	p, err := tx.LockdownPlan.Query().Where(lockdownplan.ID(id), visible, forChange).Only(ctx)
	return p, found(err, "lockdown plan", field)
}

// holdLockdown locks a lockdown, also against doors that are created into it.
func holdLockdown(
	ctx context.Context, tx *ent.Tx, id typeid.Lockdown,
) (*ent.Lockdown, error) {
	l, err := tx.Lockdown.Query().Where(lockdown.ID(id), forChange).Only(ctx)
	return l, found(err, "lockdown", "lockdownId")
}

// mayClose fails unless the actor may trigger or release all lockdowns, all that the plan closes is at
// their sites, or they are in the group that may.
func (s *Service) mayClose(
	ctx context.Context, tx *ent.Tx, p *ent.LockdownPlan, group *typeid.UserGroup,
) error {
	reached, err := reach(ctx, TriggerLockdowns)
	if err != nil || reached == all {
		return err
	}
	by, _ := actor.FromContext(ctx)
	if by.Sites != nil {
		within, err := planWithin(ctx, tx, p, by.Sites)
		if err != nil || within && reached == sites {
			return err
		}
		if !within && by.Confined {
			return errForbidden
		}
	}
	member := 0
	if group != nil {
		member, err = tx.UserGroup.Query().
			Where(usergroup.ID(*group), ofMember(by.User, s.now())).Count(ctx)
	}
	if err != nil {
		return fmt.Errorf("look for member: %w", err)
	}
	if member == 0 {
		return errForbidden
	}
	return nil
}

// triggerPlan asks for a lockdown of a plan, confirms one or puts one in force, and returns the doors
// whose devices are to be told.
func (s *Service) triggerPlan(
	ctx context.Context, tx *ent.Tx, plan *ent.LockdownPlan, note *string,
) (*ent.Lockdown, []*ent.Door, []journal.Event, error) {
	l, events, err := s.endStale(ctx, tx, plan)
	if err != nil {
		return nil, nil, nil, err
	}
	switch {
	case l == nil:
		by, _ := actor.FromContext(ctx)
		places, err := touchedBy(ctx, tx, plan)
		if err != nil {
			return nil, nil, nil, err
		}
		l, err = tx.Lockdown.Create().SetPlanID(plan.ID).SetNillableNote(note).SetSiteIds(places).
			SetRequestedBy(by.ID()).SetRequestedAt(s.now()).SetState(lockdown.StateREQUESTED).Save(ctx)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("ask for lockdown: %w", err)
		}
		if plan.TwoPersonTrigger {
			return l, nil, append(events, lockdownEvent("lockdown.requested", l, nil)), nil
		}
	case l.State == lockdown.StateACTIVE:
		unreached, err := tx.Door.Query().Where(unreachedBy(l.ID)).All(ctx)
		return l, unreached, events, err
	default:
		same, err := samePerson(ctx, tx, l.RequestedBy)
		if err != nil || same {
			return l, nil, events, err
		}
	}
	l, closed, more, err := s.activateLockdown(ctx, tx, plan, l)
	return l, closed, append(events, more...), err
}

// endStale returns the plan's lockdown that is in force or asked for, if any. What has ended by
// itself, and nobody has noticed yet, ends here.
func (s *Service) endStale(
	ctx context.Context, tx *ent.Tx, plan *ent.LockdownPlan,
) (*ent.Lockdown, []journal.Event, error) {
	open, err := tx.Lockdown.Query().Where(lockdown.PlanID(plan.ID),
		lockdown.StateIn(lockdown.StateREQUESTED, lockdown.StateACTIVE), forChange).
		Order(lockdown.ByID()).All(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("load lockdowns: %w", err)
	}
	if len(open) == 0 { // there is one at most
		return nil, nil, nil
	}
	l := open[0]
	if !s.isOver(l) {
		return l, nil, nil
	}
	_, events, err := s.endLockdown(ctx, tx, l)
	return nil, events, err
}

// isOver says that a lockdown has come to its end by itself, or was not confirmed in time.
func (s *Service) isOver(l *ent.Lockdown) bool {
	switch now := s.now(); l.State {
	case lockdown.StateREQUESTED:
		return now.Sub(l.RequestedAt) >= SecondPersonWindow
	case lockdown.StateACTIVE:
		return l.RevertsAt != nil && !now.Before(*l.RevertsAt)
	case lockdown.StateRELEASED, lockdown.StateLAPSED:
	}
	return false
}

// endLockdown ends a lockdown that is locked and open, and returns the doors that it opened.
func (s *Service) endLockdown(
	ctx context.Context, tx *ent.Tx, l *ent.Lockdown,
) ([]*ent.Door, []journal.Event, error) {
	if l.State == lockdown.StateREQUESTED {
		err := tx.Lockdown.UpdateOne(l).SetState(lockdown.StateLAPSED).Exec(ctx)
		return nil, []journal.Event{lockdownEvent("lockdown.lapsed", l, nil)}, err
	}
	_, opened, events, err := s.releaseDoors(ctx, tx, l)
	return opened, events, err
}

// activateLockdown puts a lockdown in force: it closes the doors that its plan names now, and cancels
// the unlocks that are on their way to them. Whoever decides an unlock holds its door, so that it is
// either among those or refused.
func (s *Service) activateLockdown(
	ctx context.Context, tx *ent.Tx, plan *ent.LockdownPlan, l *ent.Lockdown,
) (*ent.Lockdown, []*ent.Door, []journal.Event, error) {
	if err := goFirst(ctx, tx); err != nil {
		return nil, nil, nil, err
	}
	doors, err := holdPlaces(ctx, tx, plan)
	if err != nil {
		return nil, nil, nil, err
	}
	by, _ := actor.FromContext(ctx)
	now := s.now()
	update := tx.Lockdown.UpdateOne(l).SetState(lockdown.StateACTIVE).
		SetActivatedBy(by.ID()).SetActivatedAt(now).SetSiteIds(touched(l.SiteIds, plan, doors))
	if plan.RevertSeconds != nil {
		update.SetRevertsAt(now.Add(time.Duration(*plan.RevertSeconds) * time.Second))
	}
	if l, err = update.Save(ctx); err != nil {
		return nil, nil, nil, fmt.Errorf("activate lockdown: %w", err)
	}
	events := []journal.Event{lockdownEvent("lockdown.activated", l, map[string]any{
		"doors": len(doors), "until": l.RevertsAt,
	})}
	closed, err := s.closeDoors(ctx, tx, l, doors)
	if err != nil {
		return nil, nil, nil, err
	}
	cancelled, err := s.cancelUnlocksAt(ctx, tx, doors)
	return l, doors, slices.Concat(events, closed, cancelled), err
}

// closeDoors takes doors, which are locked, into a lockdown. One that has no device cannot be told.
func (s *Service) closeDoors(
	ctx context.Context, tx *ent.Tx, l *ent.Lockdown, doors []*ent.Door,
) ([]journal.Event, error) {
	var unreached []journal.Event
	rows := make([]*ent.LockdownDoorCreate, len(doors))
	for i, d := range doors {
		rows[i] = tx.LockdownDoor.Create().SetLockdownID(l.ID).SetDoorID(d.ID)
		if d.DeviceID == nil {
			rows[i].SetOutcome(lockdowndoor.OutcomeUNREACHED)
			unreached = append(unreached, unreachedEvent(l.ID, d))
		}
	}
	for some := range slices.Chunk(rows, maxRows) {
		if err := tx.LockdownDoor.CreateBulk(some...).Exec(ctx); err != nil {
			return nil, fmt.Errorf("close doors: %w", err)
		}
	}
	modes, err := s.settleModes(ctx, tx, doors)
	if err != nil {
		return nil, err
	}
	return append(modes, unreached...), tellAnyhow(ctx, tx, doorIDs(doors))
}

// maxRows is how many rows one statement inserts.
const maxRows = 1000

// cancelUnlocksAt ends the unlocks of doors that have not ended.
func (s *Service) cancelUnlocksAt(
	ctx context.Context, tx *ent.Tx, doors []*ent.Door,
) ([]journal.Event, error) {
	ids := doorIDs(doors)
	open, err := tx.Command.Query().Where(command.VerbEQ(command.VerbUNLOCK), command.EndedAtIsNil(),
		whose(command.FieldDoorID, ids)).
		Order(command.ByID()).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load open commands: %w", err)
	}
	if err := holdUses(ctx, tx, open...); err != nil {
		return nil, err
	}
	var events []journal.Event
	for _, c := range open {
		_, told, err := s.move(ctx, tx, c.ID,
			step{stage: command.StageCANCELLED, reason: schema.ReasonLockdown})
		if err != nil {
			return nil, err
		}
		events = append(events, told...)
	}
	return events, nil
}

// askRelease asks for the release of a lockdown, confirms that or releases it, and returns the doors
// that it opened.
func (s *Service) askRelease(
	ctx context.Context, tx *ent.Tx, plan *ent.LockdownPlan, l *ent.Lockdown,
) (*ent.Lockdown, []*ent.Door, []journal.Event, error) {
	switch l.State {
	case lockdown.StateRELEASED, lockdown.StateLAPSED:
		return l, nil, nil, nil
	case lockdown.StateREQUESTED:
		return nil, nil, nil, Error{CodeConflict, "the lockdown is not in force", "lockdownId"}
	case lockdown.StateACTIVE:
	}
	if !plan.TwoPersonRelease {
		return s.releaseDoors(ctx, tx, l)
	}
	by, _ := actor.FromContext(ctx)
	now := s.now()
	if l.ReleaseRequestedAt == nil || now.Sub(*l.ReleaseRequestedAt) >= SecondPersonWindow {
		l, err := tx.Lockdown.UpdateOne(l).SetReleaseRequestedBy(by.ID()).
			SetReleaseRequestedAt(now).Save(ctx)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("ask for release: %w", err)
		}
		return l, nil, []journal.Event{lockdownEvent("lockdown.release_requested", l, nil)}, nil
	}
	same, err := samePerson(ctx, tx, *l.ReleaseRequestedBy)
	if err != nil || same {
		return l, nil, nil, err
	}
	return s.releaseDoors(ctx, tx, l)
}

// releaseDoors ends a lockdown that is in force and locked. A door that another one closes stays
// closed.
func (s *Service) releaseDoors(
	ctx context.Context, tx *ent.Tx, l *ent.Lockdown,
) (*ent.Lockdown, []*ent.Door, []journal.Event, error) {
	doors, err := holdWithDevices(ctx, tx, closedBy(l.ID))
	if err != nil {
		return nil, nil, nil, err
	}
	by, _ := actor.FromContext(ctx)
	now := s.now()
	err = tx.LockdownDoor.Update().
		Where(lockdowndoor.LockdownID(l.ID), lockdowndoor.ReleasedAtIsNil()).
		SetReleasedAt(now).Exec(ctx)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("release doors: %w", err)
	}
	l, err = tx.Lockdown.UpdateOne(l).SetState(lockdown.StateRELEASED).
		SetReleasedBy(by.ID()).SetReleasedAt(now).Save(ctx)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("release lockdown: %w", err)
	}
	modes, err := s.settleModes(ctx, tx, doors)
	return l, doors, append([]journal.Event{lockdownEvent("lockdown.released", l, nil)}, modes...), err
}

// joinLockdowns takes a door, which is being created, into the lockdowns of its site. The site is
// held, so none begins meanwhile; and so are the lockdowns, so none ends.
func (s *Service) joinLockdowns(
	ctx context.Context, tx *ent.Tx, d *ent.Door,
) ([]journal.Event, error) {
	inForce, err := tx.Lockdown.Query().
		Where(lockdown.StateEQ(lockdown.StateACTIVE), closingSite(d.SiteID)).
		Order(lockdown.ByID()).ForShare().All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load lockdowns: %w", err)
	}
	var events []journal.Event
	for _, l := range inForce {
		if places := touched(l.SiteIds, nil, []*ent.Door{d}); len(places) > len(l.SiteIds) {
			if err := tx.Lockdown.UpdateOne(l).SetSiteIds(places).Exec(ctx); err != nil {
				return nil, fmt.Errorf("note site: %w", err)
			}
		}
		told, err := s.closeDoors(ctx, tx, l, []*ent.Door{d})
		if err != nil {
			return nil, err
		}
		events = append(events, told...)
	}
	return events, nil
}

// samePerson says whether the actor is the person who asked before, with whatever token, or through
// whatever application.
func samePerson(ctx context.Context, tx *ent.Tx, before string) (_ bool, err error) {
	by, _ := actor.FromContext(ctx)
	if before == by.ID() {
		return true, nil
	}
	if who, err := typeid.Parse[typeid.User](before); err == nil {
		return who == by.User, nil
	}
	own := 0
	if id, bad := typeid.Parse[typeid.APIToken](before); bad == nil {
		own, err = tx.APIToken.Query().Where(apitoken.ID(id), apitoken.UserID(by.User)).Count(ctx)
	}
	if id, bad := typeid.Parse[typeid.Grant](before); bad == nil {
		own, err = tx.Grant.Query().Where(grant.ID(id), grant.UserID(by.User)).Count(ctx)
	}
	if err != nil {
		return false, fmt.Errorf("load token: %w", err)
	}
	return own > 0, nil // none for a part of the system
}

// maxToldSites bounds how many sites the events of a lockdown name: more would not fit.
const maxToldSites = 200

// lockdownEvent is of all the sites that a lockdown touches; of one, if that is all.
func lockdownEvent(kind string, l *ent.Lockdown, more map[string]any) journal.Event {
	facts := map[string]any{"lockdownId": l.ID, "planId": l.PlanID,
		"siteIds": l.SiteIds[:min(len(l.SiteIds), maxToldSites)]}
	for name, value := range more {
		if until, ok := value.(*time.Time); ok && until == nil {
			continue
		}
		facts[name] = value
	}
	e := journal.Event{Type: kind, Data: dataOf(facts)}
	if len(l.SiteIds) == 1 {
		e.Site = l.SiteIds[0]
	}
	return e
}

func unreachedEvent(l typeid.Lockdown, d *ent.Door) journal.Event {
	return journal.Event{
		Type: "lockdown.door_unreached", Site: d.SiteID, Door: d.ID, Device: orZero(d.DeviceID),
		Data: data("lockdownId", l),
	}
}

func doorIDs(doors []*ent.Door) []typeid.Door {
	ids := make([]typeid.Door, len(doors))
	for i, d := range doors {
		ids[i] = d.ID
	}
	return ids
}
