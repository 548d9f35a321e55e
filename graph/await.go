package graph

import (
	"context"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/stream"
)

// patience is how long a mutation waits for the stage that it was asked to wait for.
const patience = 3 * time.Second

// await gives an order and waits until its command has reached a stage, has ended, or patience has.
// It listens before it orders, so that nothing falls between, and holds no transaction. Without the
// hub it answers at once: the command is on its way all the same. So does an order without a command.
func (r *resolver) await(
	ctx context.Context, want access.WaitFor, order func() (*ent.Command, error),
) (*ent.Command, error) {
	listening, stop := context.WithTimeout(ctx, patience)
	defer stop()
	sub, deaf := r.subscribe(listening, place{after: stream.Live})
	if deaf == nil {
		defer sub.Close()
	}
	c, err := order()
	if err != nil || deaf != nil || c == nil || access.Reached(c, want) {
		return c, err
	}
	return r.listen(ctx, sub, c, want)
}

// listen reads the command anew at each of its events, until it is where it should be.
func (r *resolver) listen(
	ctx context.Context, sub *stream.Subscription, c *ent.Command, want access.WaitFor,
) (*ent.Command, error) {
	for e := range sub.Events() {
		if e.Command != c.ID {
			continue
		}
		now, err := r.readCommand(ctx, c.ID)
		if err != nil || access.Reached(now, want) {
			return now, err
		}
	}
	return r.readCommand(ctx, c.ID)
}
