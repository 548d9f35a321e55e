package graph

import (
	"context"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/graph/shape"
)

// replays is in the order in which events happened.
var replays = list[*access.PolicyReplayItem]{
	code: 'R', columns: []string{event.FieldOccurredAt, event.FieldSeq},
	key: func(i *access.PolicyReplayItem) []any {
		return replayKey(access.ReplayPlace{At: i.Event.OccurredAt, Sequence: i.Event.Sequence})
	},
}

func replayKey(at access.ReplayPlace) []any {
	return []any{at.At.UTC().Format(time.RFC3339Nano), at.Sequence}
}

func (r *resolver) policyReplay(
	ctx context.Context, change access.AccessChangeInput, from, to time.Time,
	first *int, after *string,
) (*shape.PolicyReplayConnection, error) {
	p, err := newPage(first, after, nil, nil)
	if first == nil {
		p.limit = defaultExplained
	}
	org, errOrg := organization(ctx)
	if errOrg != nil {
		return nil, errOrg
	}
	place, faults := replayPlace(replays.decode(org, "after", value(after)))
	if err := joined(err, faults); err != nil {
		return nil, err
	}
	found, err := r.access.PolicyReplay(ctx, change, from, to, place, p.limit)
	if err != nil {
		return nil, err
	}
	c := &shape.PolicyReplayConnection{
		Connection: *replays.connection(org, p, found.Found), Examined: found.Examined,
	}
	c.PageInfo.HasNextPage = found.More
	if found.Last != nil {
		end := encodeCursor(org, replays.code, replayKey(*found.Last)...)
		c.PageInfo.EndCursor = &end
	}
	return c, nil
}

// replayPlace reads what replayKey wrote.
func replayPlace(values []any, faults access.Errors) (*access.ReplayPlace, error) {
	if len(faults) > 0 || values == nil {
		return nil, joined(faults)
	}
	text, _ := values[0].(string)
	at, err := time.Parse(time.RFC3339Nano, text)
	sequence, ok := values[1].(int64)
	if err != nil || !ok {
		return nil, badInput("after", errCursor.Error())
	}
	return &access.ReplayPlace{At: at, Sequence: sequence}, nil
}
