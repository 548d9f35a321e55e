package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/journalhead"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// ledger follows the journal of one organization, past all nodes and wires, and holds it against what
// devices, clients and subscribers were told. One goroutine reads; what it counts is read at the end.
type ledger struct {
	chaos    *chaos
	org      *organization
	chain    *journal.Chain
	at       atomic.Int64 // where the chain is
	watchers []*subscription

	reports  map[typeid.Device]int64   // the last report of a device
	commands map[typeid.Command]int    // how often each was created
	keys     map[typeid.Key]int        // how often each was created
	revoked  map[typeid.Key]int        // and revoked
	links    map[typeid.Device]*device // whose doors a link's events are about
}

func newLedger(c *chaos, o *organization) (*ledger, error) {
	chain, err := journal.Resume(o.id, 0, nil)
	l := &ledger{
		chaos: c, org: o, chain: chain, reports: map[typeid.Device]int64{},
		commands: map[typeid.Command]int{}, keys: map[typeid.Key]int{}, revoked: map[typeid.Key]int{},
		links: map[typeid.Device]*device{},
	}
	for _, d := range o.devices {
		l.links[d.identity.Device] = d
	}
	return l, err
}

// follow reads until ctx ends. Postgres may be away meanwhile.
func (l *ledger) follow(ctx context.Context) {
	for ctx.Err() == nil {
		if more, err := l.read(ctx); err != nil || !more {
			pause(ctx, 100*time.Millisecond)
		}
	}
}

const ledgerPage = 1000

// read takes in a page of events, and says whether there may be more.
func (l *ledger) read(ctx context.Context) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	events, err := l.chaos.journal.Read(ctx, l.org.id, l.chain.Sequence(), ledgerPage)
	if err != nil {
		return false, err
	}
	for i := range events {
		l.take(&events[i])
	}
	return len(events) == ledgerPage, nil
}

func (l *ledger) take(e *journal.Event) {
	number := e.Sequence
	sealed, _, err := l.chain.Seal(*e)
	if err != nil || sealed.Sequence != number {
		l.chaos.wrong("journal of %s: event %d stands where %d should: %v",
			l.org.id, number, sealed.Sequence, err)
	}
	l.chaos.work.events.Add(1)
	l.note(e)
	defer l.at.Store(number) // once all who watch have been told what to expect
	for _, s := range l.watchers {
		for _, place := range s.interest.of(e, l.links) {
			s.expect(place)
		}
	}
}

// note counts what somebody was, or will be, told of.
func (l *ledger) note(e *journal.Event) {
	switch e.Type {
	case "door.opened", "door.closed":
		l.reported(e)
	case "device.events_lost":
		l.chaos.wrong("journal of %s: events of %s were lost: %s", l.org.id, e.Device, e.Data)
	case "command.created", "command.rejected":
		l.commands[e.Command]++
	case "command.failed":
		if l.commands[e.Command] == 0 {
			l.commands[e.Command]++
		}
	case "key.created":
		l.keys[e.Key]++
	case "key.revoked":
		l.revoked[e.Key]++
	}
}

// reported checks that a device's report is the one after its last.
func (l *ledger) reported(e *journal.Event) {
	var data struct {
		N int64 `json:"n"`
	}
	if err := json.Unmarshal(e.Data, &data); err != nil {
		l.chaos.wrong("journal of %s: event %d: %v", l.org.id, e.Sequence, err)
	}
	if want := l.reports[e.Device] + 1; data.N != want {
		l.chaos.wrong("journal of %s: report %d of %s stands where report %d should",
			l.org.id, data.N, e.Device, want)
	}
	l.reports[e.Device] = data.N
}

// heads returns the newest number of every organization's journal.
func (c *chaos) heads(ctx context.Context) (heads map[typeid.Organization]int64, err error) {
	for ctx.Err() == nil {
		asking, cancel := context.WithTimeout(ctx, 2*time.Second)
		heads, err = c.journal.Heads(asking)
		cancel()
		if err == nil {
			return heads, nil
		}
		pause(ctx, 100*time.Millisecond)
	}
	return nil, fmt.Errorf("ask for the heads of the journals: %w", err)
}

// sealed checks that the journal's head is the root of the events that were read.
func (l *ledger) sealed(ctx context.Context) error {
	ctx = actor.NewContext(ctx, actor.System("chaos"))
	head, err := l.chaos.model.JournalHead.Query().Where(journalhead.ID(l.org.id)).Only(ctx)
	if err != nil {
		return fmt.Errorf("read journal head: %w", err)
	}
	if head.Seq != l.chain.Sequence() || !bytes.Equal(head.CompactRange, l.chain.CompactRange()) {
		l.chaos.wrong("journal of %s: the head, at %d, is not that of its %d events",
			l.org.id, head.Seq, l.chain.Sequence())
	}
	return nil
}
