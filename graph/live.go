package graph

import (
	"context"
	"sync"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/stream"
	"github.com/cardea/cardea/typeid"
)

// place is where in the flow of events a subscription begins: after an event and, if that is not
// all, after the first so many updates of the next.
type place struct {
	after int64
	skip  int64
}

// parsePlace reads the argument "after"; without one, the place is the present.
func parsePlace(ctx context.Context, after *string) (place, error) {
	if after == nil {
		return place{after: stream.Live}, nil
	}
	org, err := organization(ctx)
	if err != nil {
		return place{}, err
	}
	values, err := decodeCursor(org, eventCursor, *after)
	if err != nil || len(values) == 0 {
		return place{}, badInput("after", errCursor.Error())
	}
	p := place{after: values[0].(int64)}
	if len(values) > 1 {
		p.skip = values[1].(int64)
	}
	return p, nil
}

func (p place) cursor(org typeid.Organization) string {
	if p.skip == 0 {
		return encodeCursor(org, eventCursor, p.after)
	}
	return encodeCursor(org, eventCursor, p.after, p.skip)
}

// subscribe joins the organization of the actor, if they are still who they were.
func (r *resolver) subscribe(ctx context.Context, from place) (*stream.Subscription, error) {
	org, err := organization(ctx)
	if err != nil {
		return nil, err
	}
	sub, err := r.hub.Subscribe(ctx, org, from.after)
	if err != nil {
		return nil, err
	}
	if err := stillEntitled(ctx); err != nil { // of what came before it, sub does not tell
		sub.Close()
		return nil, err
	}
	return sub, nil
}

// rightsEvents may change what somebody may see. Their user is whom they are about; without one,
// they are about a group, or a door, and so about whoever does not see everything.
var rightsEvents = map[string]bool{
	"user.updated": true, "user.deleted": true, "user.role_changed": true, "session.ended": true,
	"api_token.revoked": true, "api_token.rotated": true, "grant.revoked": true,
	"key.created": true, "key.updated": true, "key.suspended": true, "key.resumed": true,
	"key.shared": true, "key.redeemed": true, "key.revoked": true,
	"user_group.updated": true, "user_group.deleted": true,
	"user_group.member_added": true, "user_group.member_removed": true,
	"door_group.updated": true, "door_group.deleted": true,
	"door_group.door_added": true, "door_group.door_removed": true,
}

// applicationEvents may end the tokens of an application, and are about whoever acts through one.
var applicationEvents = map[string]bool{"application.updated": true, "application.deleted": true}

// proof is how the client of a long connection proved who it is.
type proof struct {
	authenticate func(context.Context, string) (actor.Actor, error)
	token        string // "" if the request came with an actor and no token that we know
	ending       *ending
}

// errRights ends a subscription that was opened with rights which its actor no longer has.
var errRights = access.Error{Code: access.CodeForbidden, Message: "your rights have changed"}

// renew returns who it speaks for now, and has the connection end when that does. It fails with
// UNAUTHENTICATED if that is nobody.
func (p proof) renew(ctx context.Context, by actor.Actor) (actor.Actor, error) {
	if p.token == "" {
		return by, nil
	}
	now, err := p.authenticate(ctx, p.token)
	if err == nil {
		p.ending.by(now.Until)
	}
	return now, err
}

// ending ends a long connection with what it was opened with.
type ending struct {
	end   context.CancelCauseFunc
	mu    sync.Mutex
	at    time.Time
	timer *time.Timer // nil: that does not end by itself
}

// by sets the end, or brings it forward: another look may have found it to be sooner. Later it never is.
func (e *ending) by(at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if at.IsZero() || e.timer != nil && !at.Before(e.at) {
		return
	}
	if e.timer != nil {
		e.timer.Stop()
	}
	e.at, e.timer = at, time.AfterFunc(time.Until(at), func() { e.end(errForbidden) })
}

func (e *ending) stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.timer != nil {
		e.timer.Stop()
	}
}

// stillEntitled fails unless the actor of ctx is who they were, with the same role and at the same
// sites.
func stillEntitled(ctx context.Context) error {
	by, _ := actor.FromContext(ctx)
	p, _ := ctx.Value(proofKey).(proof)
	now, err := p.renew(ctx, by)
	if err == nil && !now.Equal(by) {
		err = errRights
	}
	return err
}
