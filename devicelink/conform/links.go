package conform

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/typeid"
)

// ping sends a ping and waits for the pong.
func (p *peer) ping(within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if err := p.conn.Ping(ctx); err != nil {
		return fmt.Errorf("no pong: %w", err)
	}
	return nil
}

// hold sets whether acknowledgements are withheld.
func (k *Kit) hold(withhold bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.withhold = withhold
}

// keepsItsLog withholds acknowledgements over an unlock, and cuts the link. All of it comes again on the
// next link, as it was, and as BUFFERED.
func keepsItsLog(r *run) error {
	// Nothing is on its way any more, and what was said is acknowledged, twice.
	if err := r.probe(); err != nil {
		return err
	}
	r.mu.Lock()
	last := r.last
	r.mu.Unlock()
	for _, sequence := range []int64{last, last, max(last-1, 0)} {
		if err := r.p.write(&devicelink.Ack{Sequence: sequence}); err != nil {
			return err
		}
	}
	r.hold(true)
	defer r.hold(false)
	mark := r.mark()
	if err := r.opens(); err != nil {
		return err
	}
	kept := entries(r, mark)
	_ = r.p.conn.CloseNow()
	<-r.p.ended
	if err := r.attempt(r.key); err != nil {
		return err
	}
	mark = r.mark()
	asked := now()
	err := all(
		func() error { return r.wait(3 * time.Second) }, // see countsFromItsHello
		func() error {
			return r.welcome(func(w *devicelink.Welcome) { w.ServerTime = asked })
		},
	)
	if err != nil {
		return err
	}
	for _, before := range kept {
		number, text := entryOf(before)
		s, err := r.expect(mark, "entry "+strconv.FormatInt(number, 10)+" again",
			func(f devicelink.Frame) bool {
				again, _ := entryOf(f)
				return again == number
			})
		if err != nil {
			return err
		}
		if _, again := entryOf(s.frame); again != text {
			return fmt.Errorf("it was %s, and is %s", text, again)
		}
		if !buffered(s.frame) {
			return fmt.Errorf("entry %d is not said to be buffered", number)
		}
	}
	return nil
}

func entries(r *run, mark int) (all []devicelink.Frame) {
	heard, _ := r.since(mark)
	for _, s := range heard {
		if number, _ := entryOf(s.frame); number > 0 {
			all = append(all, s.frame)
		}
	}
	return all
}

func buffered(f devicelink.Frame) bool {
	switch f := f.(type) {
	case *devicelink.Report:
		return f.Buffered
	case *devicelink.Result:
		return f.Buffered
	}
	return false
}

// standsStill looks at what came since the link returned: what is new has moved no lock.
func standsStill(r *run) error {
	if err := r.probe(); err != nil {
		return err
	}
	heard, _ := r.since(0)
	for _, s := range heard {
		if s.link == r.p.number && moved(s.frame) && !buffered(s.frame) {
			return errors.New("a lock has moved as the link returned")
		}
	}
	return nil
}

// countsFromItsHello is on a link whose welcome was three seconds on its way: a command whose deadline
// was a second ago would still be good for two by the welcome.
func countsFromItsHello(r *run) error {
	mark, c := r.mark(), r.unlock()
	c.IssuedAt, c.NotAfter = c.IssuedAt.Add(-11*time.Second), c.IssuedAt.Add(-time.Second)
	if err := r.p.order(c); err != nil {
		return err
	}
	s, err := r.expect(mark, "EXPIRED", resultOf(c))
	if err != nil {
		return err
	}
	if got := s.frame.(*devicelink.Result).Stage; got != command.StageEXPIRED { //nolint:forcetypeassert // resultOf
		return fmt.Errorf("a second after its deadline: %s", got)
	}
	return nil
}

// refusesReplays sends commands of the link before: as they were, and signed for this one.
func refusesReplays(r *run) error {
	for _, first := range r.done {
		if now().Sub(first.NotAfter) > 50*time.Second {
			continue // a device may have forgotten it soon
		}
		again := *first
		if err := all(
			func() error { return r.ignores(first, func() error { return r.p.write(first) }) },
			func() error { return r.ignores(&again, func() error { return r.p.order(&again) }) },
		); err != nil {
			return err
		}
	}
	return r.opens()
}

// setsAside refuses an entry of the log for good.
func setsAside(r *run) error {
	r.hold(true)
	defer r.hold(false)
	mark := r.mark()
	if err := r.opens(); err != nil {
		return err
	}
	kept := entries(r, mark)
	refused, _ := entryOf(kept[0])
	r.mu.Lock()
	r.aside = refused
	r.mu.Unlock()
	r.p.close(devicelink.CloseReportRefused, strconv.FormatInt(refused, 10))
	mark = r.mark()
	if err := r.attempt(r.key); err != nil {
		return err
	}
	err := r.welcome(func(w *devicelink.Welcome) { w.HeartbeatSeconds = 2 })
	if err != nil {
		return err
	}
	last, _ := entryOf(kept[len(kept)-1])
	if _, err := r.expect(mark, "what comes after it", func(f devicelink.Frame) bool {
		number, _ := entryOf(f)
		return number == last
	}); err != nil {
		return err
	}
	return r.never(mark, func(f devicelink.Frame) bool {
		number, _ := entryOf(f)
		return number == refused
	})
}

// takesKeys gives the device the server's next keys, and signs with the newest of them from then on.
func takesKeys(r *run) error {
	if err := r.p.order(&devicelink.Keys{Version: 2, ServerKeys: r.Kit.next.Public()}); err != nil {
		return err
	}
	r.p.signer = r.Kit.next.Newest()
	return r.opens()
}

func refusesOldKeys(r *run) error {
	for _, version := range []int64{1, 2} {
		stranger := &devicelink.Keys{Version: version, ServerKeys: r.stranger.Public()}
		if err := r.p.order(stranger); err != nil {
			return err
		}
	}
	forged := &devicelink.Keys{Version: 3, ServerKeys: r.stranger.Public()}
	r.stranger.Newest().Order(forged, r.device, int64(r.p.number), r.p.ordered+1)
	forged.KeyID = r.Kit.next.Public()[0].ID
	if err := r.p.write(forged); err != nil {
		return err
	}
	if err := r.opens(); err != nil {
		return fmt.Errorf("it does not heed its server any more: %w", err)
	}
	return nil
}

// missesPings stops pinging: the heartbeat of this link is two seconds.
func missesPings(r *run) error {
	close(r.beat)
	err := r.ends(r.config.Answer)
	r.close()
	return err
}

func namesNewKeys(r *run) error {
	if err := r.attempt(r.key); err != nil {
		return err
	}
	h, want := r.p.hello, devicelink.KeyIDs(r.Kit.next.Public())
	if h.KeysVersion != 2 || len(h.KeyIDs) != len(want) || h.KeyIDs[0] != want[0] {
		return fmt.Errorf("it names version %d, %v", h.KeysVersion, h.KeyIDs)
	}
	r.p.signer = r.Kit.next.Newest()
	return r.welcome(nil)
}

// offered waits for the offer of the device's next key.
func (r *run) offered(mark int) error {
	s, err := r.expect(mark, "rotate", func(f devicelink.Frame) bool {
		_, ok := f.(*devicelink.Rotate)
		return ok
	})
	if err != nil {
		return err
	}
	offer := s.frame.(*devicelink.Rotate) //nolint:forcetypeassert // above
	if !offer.SignedBy(r.key, r.device, int64(r.p.number)) {
		return errors.New("the offer is not signed by both keys, for this link")
	}
	offers := ed25519.PublicKey(offer.PublicKey[:])
	if r.next != nil && !offers.Equal(r.next) {
		return errors.New("it offers another key than before")
	}
	r.next = offers
	return nil
}

func offersItsNextKey(r *run) error {
	mark := r.mark()
	forged := &devicelink.Renew{}
	r.stranger.Newest().Order(forged, r.device, int64(r.p.number), r.p.ordered+1)
	if err := all(func() error { return r.p.write(forged) }, r.probe); err != nil {
		return err
	}
	err := r.never(mark, func(f devicelink.Frame) bool { _, ok := f.(*devicelink.Rotate); return ok })
	if err != nil {
		return err
	}
	if err := r.p.order(&devicelink.Renew{}); err != nil {
		return err
	}
	return r.offered(mark)
}

// triesItsNextKey cuts the link before the device is told that the server has its key.
func triesItsNextKey(r *run) error {
	if r.next == nil {
		return errors.New("it has offered none")
	}
	_ = r.p.conn.CloseNow()
	<-r.p.ended
	return r.attempt(r.next)
}

func fallsBack(r *run) error {
	r.p.close(devicelink.CloseUnknownDevice, "unknown device")
	return r.attempt(r.key)
}

func offersAgain(r *run) error {
	r.p.signer = r.Kit.next.Newest()
	mark := r.mark()
	if err := r.welcome(nil); err != nil {
		return err
	}
	return r.offered(mark)
}

func rotates(r *run) error {
	if r.next == nil {
		return errors.New("it has offered none")
	}
	err := r.p.order(&devicelink.Rotated{PublicKey: devicelink.PublicKey(r.next)})
	if err != nil {
		return err
	}
	if err := r.ends(r.config.Answer); err != nil {
		return err
	}
	if err := r.attempt(r.next); err != nil {
		return err
	}
	r.key, r.next = r.next, nil
	r.p.signer = r.Kit.next.Newest()
	return all(
		func() error { return r.welcome(nil) },
		r.opens,
	)
}

func reconnects(r *run) error {
	r.p.close(devicelink.CloseRestart, "restarting")
	if err := r.attempt(r.key); err != nil {
		return err
	}
	r.p.signer = r.Kit.next.Newest()
	return all(
		func() error { return r.welcome(nil) },
		r.opens,
	)
}

// endsCommandsOnce looks at all that was ever told of commands: nothing follows an end.
func endsCommandsOnce(r *run) error {
	heard, _ := r.since(0)
	over, told := map[typeid.Command]bool{}, map[int64]bool{}
	for _, s := range heard {
		result, ok := s.frame.(*devicelink.Result)
		if !ok || told[result.Sequence] { // or sent again
			continue
		}
		told[result.Sequence] = true
		if over[result.CommandID] {
			return fmt.Errorf("entry %d: %s after the command's end", result.Sequence, result.Stage)
		}
		over[result.CommandID] = slices.Contains(ending, result.Stage)
	}
	return nil
}

// hasNoFaults tells of what no device may do at any time: a malformed frame, a gap in the log, an entry
// that is another one the second time.
func hasNoFaults(r *run) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.faults...)
}

func goesAway(r *run) error {
	r.p.close(devicelink.CloseRemoved, "removed")
	select {
	case <-r.arrivals:
		return errors.New("it has linked again")
	case <-time.After(r.config.Silence):
		return nil
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}
