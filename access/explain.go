package access

import (
	"context"
	"fmt"
	"slices"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/credential"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/predicate"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

// AccessManner is how somebody would ask for a door.
type AccessManner string

// The manners.
const (
	MannerRemote AccessManner = "REMOTE"
	MannerAtDoor AccessManner = "AT_DOOR"
)

// AccessQuestion is whether a person may open a door.
type AccessQuestion struct {
	User   typeid.User
	Door   typeid.Door
	At     *time.Time // nil: now
	Manner AccessManner
}

// AccessDecision is the answer, with all that bears on it.
type AccessDecision struct {
	verdict.Verdict
	At    time.Time
	Mode  verdict.Mode
	Steps []verdict.Step
	// NextChange is the first later instant at which another answer holds; nil if none is known.
	NextChange *NextAccessChange
	// Offline is the answer at the door, with a credential of theirs, while its device does not reach
	// the server.
	Offline verdict.Verdict
}

// NextAccessChange is what will hold from an instant on, if nobody changes anything.
type NextAccessChange struct {
	At      time.Time
	Granted bool
	Reason  schema.Reason
}

// askedWithin is how far from now an instant may be that is asked about.
const askedWithin = 10 * 366 * 24 * time.Hour

// EffectiveAccess explains whether a person may open a door, by today's keys and settings. Who may
// not see others may ask about themself, at any door of their organization; a manager about others at
// their sites.
func (s *Service) EffectiveAccess(ctx context.Context, q AccessQuestion) (*AccessDecision, error) {
	at, err := s.asked(ctx, q.User, q.At)
	if err != nil {
		return nil, err
	}
	visible, err := s.askedOf(ctx, q.User)
	if err != nil {
		return nil, err
	}
	d, err := s.db.Door.Query().Where(door.ID(q.Door), visible).Only(ctx)
	if err != nil {
		return nil, found(err, "door", "doorId")
	}
	f, err := s.factsFor(ctx, s.db, []typeid.User{q.User}, []*ent.Door{d}, at, free)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(f.People, func(p verdict.Person) bool { return p.ID == q.User }) {
		return nil, notFound("user", "userId")
	}
	asked := verdict.Question{Person: q.User, Door: q.Door, At: at}
	if q.Manner == MannerAtDoor {
		asked.Manner = verdict.AtDoor
	}
	policy := verdict.Compile(f)
	decision := &AccessDecision{
		Verdict: policy.Decide(asked), At: at, Steps: policy.Explain(asked),
		NextChange: nextChange(policy, asked, horizonOf(f, at)),
	}
	decision.Mode, _ = policy.Mode(q.Door, at)
	decision.Offline, err = s.offline(ctx, policy, asked)
	return decision, err
}

// asked checks that the actor may ask about the person, and returns the instant that is meant. A zero
// person is everybody.
func (s *Service) asked(
	ctx context.Context, about typeid.User, at *time.Time,
) (time.Time, error) {
	reached, err := reach(ctx, ReadAccess)
	if err != nil {
		return time.Time{}, err
	}
	by, _ := actor.FromContext(ctx)
	switch {
	case reached >= sites || about == by.User:
	case about.IsZero():
		return time.Time{}, Error{CodeForbidden, "not allowed", ""}
	default:
		return time.Time{}, notFound("user", "userId")
	}
	now := s.now()
	if at == nil {
		return now, nil
	}
	if at.Before(now.Add(-askedWithin)) || at.After(now.Add(askedWithin)) {
		return time.Time{}, Error{CodeBadUserInput, "must be within ten years of now", "at"}
	}
	return *at, nil
}

// askedOf are the doors of which the actor may ask whether somebody may open them: at their sites, and
// any that they are asked about themself, unless their token is confined.
func (s *Service) askedOf(ctx context.Context, about typeid.User) (predicate.Door, error) {
	by, _ := actor.FromContext(ctx)
	if about == by.User && !by.Confined {
		return func(*sql.Selector) {}, Authorize(ctx, ReadAccess)
	}
	return narrowTo(ctx, ReadAccess,
		func(typeid.User) predicate.Door { return func(*sql.Selector) {} }, doorAt)
}

// horizonOf is until when facts that were loaded for an instant tell what holds: schedules are worked
// out so far. It is zero if there are none.
func horizonOf(f verdict.Facts, at time.Time) time.Time {
	if len(f.Timetables) == 0 {
		return time.Time{}
	}
	return at.Add(timetableAhead)
}

// maxChanges bounds how many instants are looked at for the next change.
const maxChanges = 500

func nextChange(p *verdict.Policy, q verdict.Question, horizon time.Time) *NextAccessChange {
	v := p.Decide(q)
	for then, n := v, 0; !then.Until.IsZero() && n < maxChanges; n++ {
		if !horizon.IsZero() && then.Until.After(horizon) {
			return nil
		}
		q.At = then.Until
		if then = p.Decide(q); then.Granted != v.Granted || then.Reason != v.Reason {
			return &NextAccessChange{At: q.At, Granted: then.Granted, Reason: then.Reason}
		}
	}
	return nil
}

// offline decides as the door's device would by itself: a credential in order has to be presented,
// and of several the one counts that opens longest.
func (s *Service) offline(
	ctx context.Context, p *verdict.Policy, q verdict.Question,
) (best verdict.Verdict, err error) {
	presented, err := s.db.Credential.Query().Select(credential.FieldValidFrom,
		credential.FieldValidUntil, credential.FieldBlockedUntil).
		Where(credential.UserID(q.Person), credential.RevokedAtIsNil(), credential.SuspendedAtIsNil()).
		All(ctx)
	if err != nil {
		return best, fmt.Errorf("load credentials: %w", err)
	}
	best = verdict.Verdict{Reason: schema.ReasonUnknownCredential, Rule: verdict.RuleCredential}
	q.Manner, q.Offline = verdict.AtDoor, true
	for _, c := range presented {
		q.Credential = &verdict.Credential{From: orZero(c.ValidFrom), Until: orZero(c.ValidUntil),
			BlockedUntil: orZero(c.BlockedUntil)}
		if v := p.Decide(q); v.Rule != verdict.RuleCredential && outlasts(v, best) {
			best = v
		}
	}
	return best, nil
}

// outlasts says whether a verdict is worth more than another one.
func outlasts(v, than verdict.Verdict) bool {
	if v.Granted != than.Granted || than.Rule == verdict.RuleCredential {
		return v.Granted || !than.Granted
	}
	return v.Granted && !than.Until.IsZero() && (v.Until.IsZero() || v.Until.After(than.Until))
}
