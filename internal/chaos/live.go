package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/command"
)

// live is the run: everything goes on while fault follows fault; then all comes to rest, and is
// compared.
func (c *chaos) live(ctx context.Context, faults []fault) error {
	begun := time.Now()
	audience, hush := c.begin(ctx, c.audience)
	load, rest := c.begin(ctx, c.load)
	power, off := c.begin(ctx, func(ctx context.Context, _ *sync.WaitGroup) { _ = c.power(ctx) })
	defer func() {
		rest()
		load.Wait()
		hush()
		audience.Wait()
		off()
		power.Wait()
	}()

	for i, f := range faults {
		if !pause(ctx, c.size.calm) {
			return ctx.Err()
		}
		if err := c.round(ctx, i+1, f); err != nil {
			return err
		}
		if c.failed() {
			return errHurt
		}
	}
	took := time.Since(begun)
	rest()
	load.Wait()
	if err := c.settled(ctx); err != nil {
		return err
	}
	hush()
	audience.Wait()
	if err := c.compare(ctx); err != nil {
		return err
	}
	c.summary(took)
	return c.enough(took, len(faults))
}

// begin starts something that goes on until it is told to stop.
func (c *chaos) begin(
	ctx context.Context, what func(context.Context, *sync.WaitGroup),
) (*sync.WaitGroup, context.CancelFunc) {
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { what(ctx, &running) })
	return &running, stop
}

// audience is who listens.
func (c *chaos) audience(ctx context.Context, running *sync.WaitGroup) {
	for _, s := range c.sockets {
		running.Go(func() { s.run(ctx) })
	}
	for _, l := range c.ledgers {
		running.Go(func() { l.follow(ctx) })
	}
}

// load is who does something.
func (c *chaos) load(ctx context.Context, running *sync.WaitGroup) {
	<-c.powered
	running.Go(func() { c.report(ctx) })
	running.Go(func() { c.audit(ctx) })
	each := time.Duration(len(c.clerks)) * time.Second / time.Duration(c.size.unlocks)
	for _, k := range c.clerks {
		running.Go(func() { k.work(ctx, each, k.unlock) })
		running.Go(func() { k.work(ctx, each, k.grant) })
	}
}

// round does one thing, and waits until nobody feels it any more.
func (c *chaos) round(ctx context.Context, number int, f fault) error {
	c.say("round %d: %s", number, f)
	if err := f.do(ctx, c, f); err != nil {
		c.wrong("%s: %v", f, err)
		return errHurt
	}
	return c.recovered(ctx)
}

// recovered waits until every node writes, and every subscriber has all that was committed when the
// fault ended. The rest of what goes on does not wait.
func (c *chaos) recovered(ctx context.Context) error {
	ended := time.Now()
	limit, cancel := context.WithTimeout(ctx, c.size.recovery)
	defer cancel()
	for _, n := range c.nodes {
		if err := c.writes(limit, n); err != nil {
			c.wrong("%s does not write %v after the fault: %v", n.name, c.size.recovery, err)
			return errHurt
		}
	}
	written := time.Since(ended)
	if err := c.heard(limit); err != nil {
		return err
	}
	c.say("  nodes write after %.1f s, all is heard after %.1f s",
		written.Seconds(), time.Since(ended).Seconds())
	return nil
}

// writes waits until a node has committed something.
func (c *chaos) writes(ctx context.Context, n *node) (err error) {
	o := c.organizations[0]
	for ctx.Err() == nil {
		var answer any
		err = c.ask(ctx, n, o.owner.token, &answer, renaming,
			map[string]any{"door": o.doors[0], "seconds": 5})
		if err == nil {
			return nil
		}
		pause(ctx, 100*time.Millisecond)
	}
	return errors.Join(ctx.Err(), err)
}

// heard waits until every subscriber has whatever is committed now.
func (c *chaos) heard(ctx context.Context) error {
	heads, err := c.heads(ctx)
	if err != nil {
		return err
	}
	for {
		behind, example := 0, ""
		for _, l := range c.ledgers {
			for _, s := range l.watchers {
				if n := s.missing(heads[l.org.id]); n > 0 {
					behind++
					example = fmt.Sprintf("%s lacks %d", s.name, n)
				}
			}
			if l.at.Load() < heads[l.org.id] {
				behind++
				example = "our own reader of the journal"
			}
		}
		if behind == 0 {
			return nil
		}
		if !pause(ctx, 50*time.Millisecond) {
			c.wrong("%d subscribers do not have everything in time: %s", behind, example)
			return errHurt
		}
	}
}

// settled waits until everything has come to rest: nothing is under way.
func (c *chaos) settled(ctx context.Context) error {
	const limit = time.Minute
	if c.drained(ctx, limit) != nil {
		return errHurt
	}
	patient, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for { // commands end, and locks lock again
		before, err := c.heads(patient)
		if err != nil {
			return err
		}
		if !pause(patient, 3*time.Second) {
			return errors.New("it does not come to rest")
		}
		after, err := c.heads(patient)
		if err != nil {
			return err
		}
		open, err := c.open(patient)
		if err != nil {
			return err
		}
		if maps.Equal(before, after) && open == 0 {
			return c.heard(patient)
		}
	}
}

// open is how many commands have not ended. One that never reached its device ends a while after its
// deadline, and until then nothing happens.
func (c *chaos) open(ctx context.Context) (int, error) {
	ctx = actor.NewContext(ctx, actor.System("chaos"))
	n, err := c.model.Command.Query().Where(command.EndedAtIsNil()).Count(ctx)
	if err != nil {
		return 0, fmt.Errorf("count open commands: %w", err)
	}
	return n, nil
}

// compare holds what everybody was told against what is there.
func (c *chaos) compare(ctx context.Context) error {
	for i, l := range c.ledgers {
		if err := l.sealed(ctx); err != nil {
			return err
		}
		for _, s := range l.watchers {
			if len(s.got) != len(s.want) {
				c.wrong("%s heard %d items of %d", s.name, len(s.got), len(s.want))
			}
		}
		for _, d := range l.org.devices {
			if l.reports[d.identity.Device] != d.made {
				c.wrong("%s made %d reports, the journal has %d",
					d.identity.Device, d.made, l.reports[d.identity.Device])
			}
		}
		c.clerks[i].compare(l)
	}
	if err := c.compareCommands(ctx); err != nil {
		return err
	}
	for _, n := range c.nodes {
		if err := n.died(); err != nil {
			c.wrong("%v", err)
		}
	}
	if c.failed() {
		return errHurt
	}
	return nil
}

// compare holds the answers to mutations against the journal.
func (k *clerk) compare(l *ledger) {
	for wish, id := range k.unlocks {
		if l.commands[id] != 1 {
			k.chaos.wrong("%s, the answer to %s, is %d times in the journal", id, wish, l.commands[id])
		}
	}
	for id := range k.granted {
		if l.keys[id] != 1 {
			k.chaos.wrong("%s was granted, and is %d times in the journal", id, l.keys[id])
		}
	}
	for id := range k.revoked {
		if l.revoked[id] != 1 {
			k.chaos.wrong("%s was revoked, and is %d times in the journal", id, l.revoked[id])
		}
	}
	before := 3 // the owner's and the member's
	if more := len(l.keys) - before - len(k.granted); more < 0 || more > k.doubted {
		k.chaos.wrong("%s: %d keys that nobody was told of, %d grants that nobody answered",
			k.org.id, more, k.doubted)
	}
}

// compareCommands holds what devices did against what the program says of it.
func (c *chaos) compareCommands(ctx context.Context) error {
	ctx = actor.NewContext(ctx, actor.System("chaos"))
	rows, err := c.model.Command.Query().All(ctx)
	if err != nil {
		return fmt.Errorf("read commands: %w", err)
	}
	known, wishes := map[string]bool{}, map[string]int{}
	for _, row := range rows {
		known[row.ID.String()] = true
		times := c.obeyed[row.ID]
		if row.IdempotencyKey != nil {
			wishes[*row.IdempotencyKey] += times
		}
		switch {
		case row.EndedAt == nil:
			c.wrong("%s has not ended: %s", row.ID, row.Stage)
		case row.Stage == command.StageCONFIRMED && times != 1:
			c.wrong("%s is CONFIRMED and was carried out %d times", row.ID, times)
		case row.Stage != command.StageCONFIRMED && row.Stage != command.StageUNCONFIRMED && times > 0:
			c.wrong("%s is %s (%s) and was carried out", row.ID, row.Stage, value(row.Reason))
		}
	}
	for id := range c.obeyed {
		if !known[id.String()] {
			c.wrong("%s was carried out, and there is no such command", id)
		}
	}
	for wish, times := range wishes {
		if times > 1 {
			c.wrong("the wish %s was carried out %d times", wish, times)
		}
	}
	return nil
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func (c *chaos) summary(took time.Duration) {
	w := &c.work
	c.say("%.0f s: %d reports, %d events, %d mutations, %d unlocks carried out, %d refused as late",
		took.Seconds(), w.reports.Load(), w.events.Load(), w.mutations.Load(), w.unlocks.Load(),
		w.late.Load())
	c.say("  %d deliveries to %d subscriptions, %d of them again, %d connections cut, %d resumes",
		w.deliveries.Load(), c.size.subscribers, w.replayed.Load(), w.cuts.Load(), w.resumes.Load())
	c.say("  %d looks whether what is acknowledged is committed, %d items with errors",
		w.audits.Load(), w.broken.Load())
	c.say("  sockets closed: %s; refusals: %s", counts(c.closures), counts(c.refusals))
}

func counts[K interface{ ~int | ~string }](of map[K]int) string {
	var words []string
	for _, k := range slices.Sorted(maps.Keys(of)) {
		words = append(words, fmt.Sprintf("%v %d", k, of[k]))
	}
	return strings.Join(words, ", ")
}

// enough fails a run in which too little happened to prove anything.
func (c *chaos) enough(took time.Duration, rounds int) error {
	w := &c.work
	seconds := int64(took.Seconds())
	var missing []error
	for _, least := range []struct {
		what      string
		done, due int64
	}{
		{"reports", w.reports.Load(), seconds * int64(c.size.reports) / 2},
		{"deliveries", w.deliveries.Load(), w.reports.Load()},
		{"mutations", w.mutations.Load(), seconds * int64(c.size.unlocks) / 4},
		{"unlocks", w.unlocks.Load(), seconds * int64(c.size.unlocks) / 8},
		{"cuts", w.cuts.Load(), int64(rounds)},
		{"resumes", w.resumes.Load(), 2 * int64(c.size.subscribers)},
		{"looks at what is committed", w.audits.Load(), 2 * seconds},
	} {
		if least.done < least.due {
			missing = append(missing, fmt.Errorf("only %d %s, want %d", least.done, least.what, least.due))
		}
	}
	return errors.Join(missing...)
}
