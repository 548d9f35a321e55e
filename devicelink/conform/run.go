package conform

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"
	"time"

	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/typeid"
)

// run is one run of the script: checks follow each other on the links of one device.
type run struct {
	*Kit
	ctx  context.Context //nolint:containedctx // of one call of Run
	p    *peer           // the present link
	beat chan struct{}   // closed: the present link is not pinged any more
	key  ed25519.PublicKey
	next ed25519.PublicKey     // which the device has offered
	done []*devicelink.Command // that the device has run
	// When the device answered the last time, by the kit's clock.
	answered time.Time
}

// attempt waits for the device's next connection, and takes its hello.
func (r *run) attempt(key ed25519.PublicKey) error {
	if err := r.arrive(); err != nil {
		return err
	}
	if err := r.p.challenges(nil); err != nil {
		return err
	}
	return r.p.greets(key)
}

func (r *run) arrive() error {
	late := time.NewTimer(r.config.Reconnect)
	defer late.Stop()
	select {
	case r.p = <-r.arrivals:
		r.beat = make(chan struct{})
		return nil
	case <-late.C:
		return fmt.Errorf("it has not linked again within %s", r.config.Reconnect)
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}

// welcome welcomes the device, which has said hello, and takes in what it says from now on.
func (r *run) welcome(before func(*devicelink.Welcome)) error {
	pings := heartbeat / 2
	err := r.p.welcomes(door.ModeCONTROLLED, func(w *devicelink.Welcome) {
		if before != nil {
			before(w)
		}
		pings = time.Duration(w.HeartbeatSeconds) * time.Second / 2
	}, nil)
	if err != nil {
		return err
	}
	go r.p.listen()
	go r.p.beat(pings, r.beat)
	return nil
}

// close ends the present link.
func (r *run) close() {
	if r.p != nil {
		_ = r.p.conn.CloseNow()
	}
}

// ends waits until the device has ended the present link.
func (r *run) ends(within time.Duration) error {
	select {
	case <-r.p.ended:
		return nil
	case <-time.After(within):
		return fmt.Errorf("it has not ended the link within %s", within)
	}
}

// wait lets time pass, in which the device has nothing to do.
func (r *run) wait(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}

// mark is where what has been heard by now ends.
func (r *run) mark() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.heard)
}

// since returns what was heard after a mark, and what tells of more.
func (r *run) since(mark int) ([]said, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]said(nil), r.heard[mark:]...), r.changed
}

// expect waits for the first frame after a mark that is as wanted.
func (r *run) expect(
	mark int, what string, wanted func(devicelink.Frame) bool,
) (said, error) {
	late := time.NewTimer(r.config.Answer)
	defer late.Stop()
	var over error
	for {
		heard, more := r.since(mark)
		for _, s := range heard {
			if wanted(s.frame) {
				return s, nil
			}
		}
		if over != nil {
			return said{}, over
		}
		select {
		case <-more:
		case <-r.p.ended: // and what it said last is looked at once more
			over = fmt.Errorf("no %s: it has ended the link (%w)", what, r.p.end)
		case <-late.C:
			over = fmt.Errorf("no %s within %s", what, r.config.Answer)
		}
	}
}

// never fails if a frame after a mark is as unwanted.
func (r *run) never(mark int, unwanted func(devicelink.Frame) bool) error {
	heard, _ := r.since(mark)
	for _, s := range heard {
		if unwanted(s.frame) {
			text, _ := devicelink.Encode(s.frame)
			return fmt.Errorf("it sent %s", text)
		}
	}
	return nil
}

// Frames that checks wait for.

func resultOf(c *devicelink.Command, stages ...command.Stage) func(devicelink.Frame) bool {
	return func(f devicelink.Frame) bool {
		result, ok := f.(*devicelink.Result)
		if !ok || result.CommandID != c.CommandID {
			return false
		}
		return len(stages) == 0 || slices.Contains(stages, result.Stage)
	}
}

func reportOf(event string) func(devicelink.Frame) bool {
	return func(f devicelink.Frame) bool {
		report, ok := f.(*devicelink.Report)
		return ok && report.Event == event
	}
}

// moved is what tells that a lock has moved, or stands unlocked.
func moved(f devicelink.Frame) bool {
	switch f := f.(type) {
	case *devicelink.Report:
		return f.Event == "lock.unlocked" || f.Event == "lock.locked"
	case *devicelink.Result:
		return f.LockState == door.LockStateUNLOCKED
	}
	return false
}

// unlock is a command that the device is to run, when it is signed.
func (r *run) unlock() *devicelink.Command {
	at := now()
	return &devicelink.Command{
		CommandID: typeid.New[typeid.Command](), OrganizationID: r.org, DeviceID: r.device,
		DoorID: r.door, Port: r.config.Port, Verb: command.VerbUNLOCK, Seconds: 1,
		IssuedAt: at, NotAfter: at.Add(10 * time.Second),
	}
}

// ending are the stages in which a command ends.
var ending = []command.Stage{
	command.StageCONFIRMED, command.StageFAILED, command.StageREJECTED, command.StageEXPIRED,
}

// opens has the device run an honest command, and waits until the lock has locked again by itself.
func (r *run) opens() error {
	mark, c := r.mark(), r.unlock()
	if err := r.p.order(c); err != nil {
		return err
	}
	r.done = append(r.done, c)
	if _, err := r.expect(mark, "CONFIRMED", resultOf(c, command.StageCONFIRMED)); err != nil {
		return err
	}
	_, err := r.expect(mark, "lock.locked", reportOf("lock.locked"))
	return err
}

// probe waits until the device has dealt with all that it was sent: it answers a command for a door
// that it does not have.
func (r *run) probe() error {
	mark, c := r.mark(), r.unlock()
	c.DoorID = typeid.New[typeid.Door]()
	if err := r.p.order(c); err != nil {
		return err
	}
	s, err := r.expect(mark, "answer to what is honest", resultOf(c))
	if err != nil {
		return err
	}
	got := s.frame.(*devicelink.Result) //nolint:forcetypeassert // resultOf
	if got.Stage != command.StageREJECTED || got.Reason != "UNSUPPORTED" {
		return fmt.Errorf("a command for another door: %s, %q", got.Stage, got.Reason)
	}
	return nil
}

// ignores sends what the device must pass over: it does nothing and answers nothing.
func (r *run) ignores(c *devicelink.Command, send func() error) error {
	mark := r.mark()
	if err := send(); err != nil {
		return err
	}
	if err := r.probe(); err != nil {
		return err
	}
	return r.never(mark, func(f devicelink.Frame) bool {
		return moved(f) || c != nil && resultOf(c)(f)
	})
}

// refuses sends a command that is signed as it is by the server, in its turn.
func (r *run) refuses(alter func(*devicelink.Command)) error {
	c := r.unlock()
	alter(c)
	return r.ignores(c, func() error { return r.p.order(c) })
}

// refusesSigned sends a command after it was signed and altered.
func (r *run) refusesSigned(alter func(*devicelink.Command)) error {
	c := r.unlock()
	return r.ignores(c, func() error {
		r.p.signer.Order(c, r.device, int64(r.p.number), r.p.ordered+1)
		alter(c)
		return r.p.write(c)
	})
}

// configures tells the device the mode of its door.
func (r *run) configures(mode door.Mode) error {
	return r.p.order(&devicelink.Config{Doors: r.standing(mode)})
}

// turns tells the device a mode, and waits for what it reports.
func (r *run) turns(mode door.Mode, event string) error {
	mark := r.mark()
	if err := r.configures(mode); err != nil {
		return err
	}
	_, err := r.expect(mark, event, reportOf(event))
	return err
}

// all returns the first error of several, each tried if those before it went well.
func all(tries ...func() error) error {
	for _, try := range tries {
		if err := try(); err != nil {
			return err
		}
	}
	return nil
}
