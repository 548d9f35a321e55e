package uhppote

import (
	"context"
	"errors"
	"time"

	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/schema"
)

const (
	// seenFor is how long after its deadline a command's identifier is remembered.
	seenFor = time.Minute
	// longestDelay is that of a controller, in seconds.
	longestDelay = 255
)

// remote is a remote open that a controller was asked for. Its record does not say who asked: it is the
// first of that door behind those that there were before.
type remote struct {
	door  int
	after uint32 // the last record before
	until time.Time
	found chan struct{} // closed once the record is read
}

// order begins what a command asks for. It acts on none twice, and on none too late.
func (a *Agent) order(c *devicelink.Command) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.link.ServerClock()
	for id, until := range a.seen {
		if now.After(until) {
			delete(a.seen, id)
		}
	}
	if _, again := a.seen[c.CommandID]; again {
		return
	}
	a.seen[c.CommandID] = c.NotAfter.Add(seenFor)
	o := a.doors[c.Port]
	switch {
	case !now.Before(c.NotAfter):
		a.answer(c, command.StageEXPIRED, schema.ReasonExpiredBeforeDelivery)
	case o == nil || o.DoorID != c.DoorID || c.Seconds > longestDelay:
		a.answer(c, command.StageREJECTED, schema.ReasonUnsupported)
	default:
		a.answer(c, command.StageACKNOWLEDGED, "")
		a.orders.Go(func() { a.carryOut(context.Background(), c) })
	}
}

// answer logs how far a command has come; a.mu is held.
func (a *Agent) answer(c *devicelink.Command, stage command.Stage, why schema.Reason) {
	a.result(&devicelink.Result{CommandID: c.CommandID, Port: c.Port, Stage: stage, Reason: why})
}

func (a *Agent) result(r *devicelink.Result) {
	r.At = a.now()
	if err := a.log.Append(0, r); err != nil {
		a.config.Logger.Error("result not logged", "command", r.CommandID.String(), "error", err)
	}
}

// carryOut has the controller do what a command asks for, and says what is seen of it. The controller
// is asked first how it is: what it cannot answer now, it shall not find later and open.
func (a *Agent) carryOut(ctx context.Context, c *devicelink.Command) {
	defer a.wake()
	before, err := a.controller.status(ctx)
	if err != nil {
		a.fail(c, schema.ReasonDeviceOffline)
		return
	}
	if c.Verb == command.VerbLOCK {
		a.relock(ctx, c)
		return
	}
	r, ready := a.ready(ctx, c, before)
	if !ready {
		return
	}
	err = a.controller.open(ctx, c.Port)
	if errors.Is(err, errRefused) {
		a.drop(r)
		a.fail(c, schema.ReasonHardwareFault)
		return
	}
	a.wake() // there is a record to be found
	a.confirm(ctx, c, r, err == nil)
}

func (a *Agent) fail(c *devicelink.Command, why schema.Reason) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer(c, command.StageFAILED, why)
}

// ready sees to it that the lock will lock again when it shall, and says whether it is still to be
// unlocked.
func (a *Agent) ready(
	ctx context.Context, c *devicelink.Command, before status,
) (r *remote, ready bool) {
	a.mu.Lock()
	o := a.doors[c.Port]
	to := control{}
	if o != nil {
		to = o.wanted()
		to.Delay = c.Seconds
	}
	set := o != nil && o.applied != to
	a.mu.Unlock()
	if set {
		if err := a.controller.control(ctx, c.Port, to); err != nil {
			a.fail(c, schema.ReasonHardwareFault)
			return nil, false
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if o = a.doors[c.Port]; o != nil && set {
		o.applied = to
	}
	switch {
	case !a.link.ServerClock().Before(c.NotAfter):
		a.answer(c, command.StageEXPIRED, schema.ReasonExpiredBeforeDelivery)
	case o == nil || o.DoorID != c.DoorID:
		a.answer(c, command.StageFAILED, schema.ReasonUnsupported)
	case o.shut():
		a.answer(c, command.StageFAILED, shutReason(o.Mode))
	default:
		r = &remote{
			door: c.Port, after: before.Last.Index, until: time.Now().Add(seenFor),
			found: make(chan struct{}),
		}
		a.opens = append(a.opens, r)
		return r, true
	}
	return nil, false
}

// confirm looks for the energised relay while it can be seen. A controller answers yes even if the relay
// stays as it is, so its answer is no evidence of that; and where the answer was lost, an energised
// relay may be somebody else's doing unless there is a record of ours. If nothing shows what happened,
// nothing is said.
func (a *Agent) confirm(ctx context.Context, c *devicelink.Command, r *remote, answered bool) {
	asked := time.Now()
	delay := time.Duration(c.Seconds) * time.Second
	for {
		s, err := a.controller.status(ctx)
		ours := answered || isClosed(r.found)
		seen := time.Since(asked) < delay // by then, the relay was to be seen
		switch {
		case err == nil && ours && s.energised(c.Port):
			a.confirmed(c, s)
			return
		case err == nil && answered && seen:
			a.fail(c, schema.ReasonHardwareFault)
			return
		case !seen:
			a.config.Logger.WarnContext(ctx, "nothing shows what came of a command",
				"command", c.CommandID.String())
			return
		}
		if !pause(ctx, soon) {
			return
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (a *Agent) confirmed(c *devicelink.Command, s status) {
	a.mu.Lock()
	defer a.mu.Unlock()
	lock := lockOf(s, c.Port)
	if o := a.doors[c.Port]; o != nil {
		o.lock = lock
	}
	a.result(&devicelink.Result{
		CommandID: c.CommandID, Port: c.Port, Stage: command.StageCONFIRMED,
		Confirmation: command.ConfirmationRELAY, LockState: lock, Position: a.position(s, c.Port),
	})
}

// relock ends an unlock before its time. The controllers have no word for that: the door is controlled
// as always closed until its lock would have locked by itself.
func (a *Agent) relock(ctx context.Context, c *devicelink.Command) {
	a.mu.Lock()
	o := a.doors[c.Port]
	if o == nil || o.Mode == door.ModeUNLOCKED {
		a.answer(c, command.StageFAILED, schema.ReasonUnsupported)
		a.mu.Unlock()
		return
	}
	o.shutUntil = time.Now().Add(time.Duration(max(o.applied.Delay, o.RelockSeconds)) * time.Second)
	a.mu.Unlock()
	err := a.settleDoor(ctx, c.Port)
	s, unseen := a.controller.status(ctx)
	switch {
	case err != nil || unseen != nil:
		a.config.Logger.WarnContext(ctx, "nothing shows what came of a command",
			"command", c.CommandID.String())
	case s.energised(c.Port):
		a.fail(c, schema.ReasonHardwareFault)
	default:
		a.confirmed(c, s)
	}
}

// claimed says whether a remote open is one that we asked for; a.mu is held.
func (a *Agent) claimed(r record) bool {
	kept := a.opens[:0]
	var found *remote
	for _, asked := range a.opens {
		switch {
		case found == nil && asked.door == r.Door && behind(asked.after+1, r.Index) > 0:
			found = asked
			close(asked.found)
		case time.Now().Before(asked.until):
			kept = append(kept, asked)
		}
	}
	a.opens = kept
	return found != nil
}

// drop forgets a remote open that will not be.
func (a *Agent) drop(r *remote) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, asked := range a.opens {
		if asked == r {
			a.opens = append(a.opens[:i:i], a.opens[i+1:]...)
			return
		}
	}
}
