package graph

import (
	"context"
	"runtime"
	"slices"
	"sync"

	"github.com/99designs/gqlgen/graphql"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/stream"
)

const (
	// maxTurns is how many events may wait for an audience before it is told that it is too slow.
	maxTurns = 4096
	// maxTogether is how many events are executed before their items are sent, if so many wait.
	maxTogether = 32
	// enoughToSplit is how many listeners are worth a goroutine.
	enoughToSplit = 64
)

// audience is all listeners with equal documents, variables and rights that have all that was given
// out. Each event is executed for them once, and encoded once; each of them costs one write, for all
// that there is to tell by then. It has a goroutine only while it has something to tell.
//
// It executes as an actor who sees what each of them sees, and who is none of them unless they all are
// (rights.go). Who joins it and when it has to be left is the router's to say.
type audience struct {
	*Handler
	router *router
	key    audienceKey
	as     actor.Actor
	of     *graphql.OperationContext
	script script
	topics []topic

	// Of its goroutine.
	ctx   context.Context //nolint:containedctx // whom it executes as
	show  *rendering      // nil before the first item
	round []*listener     // who is told

	// Under router.mu.
	listeners []*listener
	turns     []turn
	playing   bool
	late      bool // too many turns waited: some were not taken
}

// turn is what an event asks of an audience.
type turn struct {
	event   *journal.Event
	leaving []*listener // before the event: they go on alone
	told    bool        // whether it may be for who stays
}

// item is what listeners are sent, and of which event.
type item struct {
	sequence int64
	payload  payload
}

// take takes a turn. Under router.mu, in the router's goroutine.
func (a *audience) take(t turn) {
	if a.late = a.late || len(a.turns) == maxTurns; a.late {
		return
	}
	a.turns = append(a.turns, t)
	if !a.playing {
		a.playing = true
		a.router.playing.Go(a.play)
	}
}

// without forgets a listener. Under router.mu.
func (a *audience) without(l *listener) {
	last := len(a.listeners) - 1
	moved := a.listeners[last]
	a.listeners[l.at], moved.at = moved, l.at
	a.listeners[last] = nil
	a.listeners = a.listeners[:last]
}

// play takes turns until there are none.
func (a *audience) play() {
	for {
		turns, err := a.next()
		if len(turns) == 0 && err == nil {
			return
		}
		var items []item
		if err == nil {
			items, err = a.perform(turns)
		}
		a.spread(items)
		if err != nil {
			a.end(err)
		}
	}
}

// next returns the turns to take together, and settles for whom: whoever leaves before the first of
// them is gone.
func (a *audience) next() ([]turn, error) {
	a.router.mu.Lock()
	defer a.router.mu.Unlock()
	a.round = append(a.round[:0], a.listeners...)
	if a.late {
		a.late, a.turns = false, nil
		return nil, stream.ErrSlowConsumer
	}
	count := 0
	for count < min(len(a.turns), maxTogether) && (count == 0 || a.turns[count].leaving == nil) {
		count++
	}
	if count == 0 {
		a.playing, a.turns = false, nil
		return nil, nil
	}
	turns := slices.Clone(a.turns[:count])
	a.turns = slices.Delete(a.turns, 0, count)
	if turns[0].leaving != nil {
		for _, l := range turns[0].leaving {
			a.goAlone(l, turns[0].event.Sequence-1)
		}
		a.round = append(a.round[:0], a.listeners...)
	}
	return turns, nil
}

// goAlone has a listener go on alone after an event. Under router.mu.
func (a *audience) goAlone(l *listener, position int64) {
	if l.audience != a {
		return
	}
	a.router.dismiss(l)
	l.position = position
	l.spawn(func() { l.run(l.resume) })
}

// perform executes the events of turns.
func (a *audience) perform(turns []turn) (items []item, err error) {
	if a.ctx == nil {
		ctx := actor.WithRequestID(context.Background(), actor.NewRequestID())
		a.ctx = actor.NewContext(ctx, a.as)
	}
	defer func() {
		if cause := recover(); cause != nil {
			err = a.contain(a.ctx, cause)
		}
	}()
	for _, t := range turns {
		if !t.told || len(a.round) == 0 {
			continue
		}
		told, err := a.script.tell(a.ctx, t.event)
		if err != nil {
			return items, err
		}
		for _, one := range told {
			p, err := a.execute(one)
			if err != nil {
				return items, err
			}
			items = append(items, item{t.event.Sequence, p})
		}
	}
	return items, nil
}

func (a *audience) execute(one any) (payload, error) {
	if a.show == nil {
		a.show = a.newRendering(a.ctx, a.of)
	}
	a.metrics.executed.Inc()
	p, faults := a.show.render(one)
	if len(faults) > 0 {
		return nil, &shown{faults}
	}
	return p, nil
}

// spread sends items to the round, by as many goroutines as can run at once if it is large.
func (a *audience) spread(items []item) {
	if len(items) == 0 {
		return
	}
	a.metrics.delivered.Add(float64(len(items) * len(a.round)))
	payloads := make([]payload, len(items))
	for i, one := range items {
		payloads[i] = one.payload
	}
	parts := max(1, min(runtime.GOMAXPROCS(0), len(a.round)/enoughToSplit))
	var sending sync.WaitGroup
	for part := range slices.Chunk(a.round, max(1, (len(a.round)+parts-1)/parts)) {
		if parts == 1 {
			sendTo(part, items, payloads)
			break
		}
		sending.Go(func() { sendTo(part, items, payloads) })
	}
	sending.Wait()
}

// sendTo sends each listener the items that it does not have.
func sendTo(all []*listener, items []item, payloads []payload) {
	for _, l := range all {
		from := 0
		for from < len(items) && items[from].sequence <= l.position {
			from++
		}
		if from < len(items) {
			l.offer(payloads[from:])
		}
	}
}

// end ends everybody in the audience.
func (a *audience) end(err error) {
	a.router.mu.Lock()
	all := slices.Clone(a.listeners)
	for _, l := range all {
		a.router.dismiss(l)
	}
	a.router.mu.Unlock()
	for _, l := range all {
		l.end(err)
	}
}
