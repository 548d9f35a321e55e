package access

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/predicate"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

const (
	maxReplaySpan = 31 * 24 * time.Hour
	// maxReplayed bounds how many events are examined for one page, and replayBatch how many at a
	// time.
	maxReplayed = 1000
	replayBatch = 250
)

// ReplayPlace is an event's place in the order of a replay: by when it happened.
type ReplayPlace struct {
	At       time.Time
	Sequence int64
}

// PolicyReplayItem is a decision of the past of which a change makes another one.
type PolicyReplayItem struct {
	Event  *journal.Event
	Before *verdict.Verdict // by the keys and settings as they are
	After  *verdict.Verdict // by those with the change
}

// PolicyReplayPage is the part of a replay that begins after a place.
type PolicyReplayPage struct {
	Found    []*PolicyReplayItem
	Examined int
	More     bool
	Last     *ReplayPlace // of the event that was examined last; nil: none was
}

// PolicyReplay decides past grants and denials anew, each at the instant at which it happened: by
// the keys and settings as they are, and by those with a change. It finds those that differ. What
// was presented, and who was in an area, is left out.
func (s *Service) PolicyReplay(
	ctx context.Context, in AccessChangeInput, from, to time.Time, after *ReplayPlace, limit int,
) (*PolicyReplayPage, error) {
	visible, err := s.VisibleEvents(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := s.asked(ctx, typeid.User{}, nil); err != nil {
		return nil, err
	}
	c, err := s.changeOf(ctx, in)
	if err != nil {
		return nil, err
	}
	if err := checkReplay(from, to); err != nil {
		return nil, err
	}
	page := &PolicyReplayPage{Last: after}
	for page.More = true; page.More && len(page.Found) < limit && page.Examined < maxReplayed; {
		events, err := s.decisions(ctx, visible, from, to, page.Last, replayBatch+1)
		if err != nil {
			return nil, err
		}
		page.More = len(events) > replayBatch
		events = events[:min(len(events), replayBatch)]
		if err := s.replay(ctx, c, from, events, page, limit); err != nil {
			return nil, err
		}
	}
	return page, nil
}

func checkReplay(from, to time.Time) error {
	var f faults
	switch {
	case !from.Before(to):
		f.add("to", "must be after from")
	case to.Sub(from) > maxReplaySpan:
		f.add("to", "must be at most 31 days after from")
	}
	return f.err()
}

// decisions lists grants and denials that the actor sees in the order in which they happened.
func (s *Service) decisions(
	ctx context.Context, visible predicate.Event, from, to time.Time, after *ReplayPlace, most int,
) ([]*ent.Event, error) {
	rows, err := s.db.Event.Query().
		Where(event.TypeIn("access.granted", "access.denied"), event.OccurredAtGTE(from),
			event.OccurredAtLT(to), visible, func(q *entsql.Selector) {
				if after != nil {
					q.Where(entsql.CompositeGT(q.Columns(event.FieldOccurredAt, event.FieldSeq),
						after.At, after.Sequence))
				}
			}).
		Order(event.ByOccurredAt(), event.BySeq()).Limit(most).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load decisions: %w", err)
	}
	return rows, nil
}

// replay adds to the page the events that are decided differently, until it is full.
func (s *Service) replay(
	ctx context.Context, c change, from time.Time, rows []*ent.Event, page *PolicyReplayPage,
	limit int,
) error {
	before, after, err := s.policiesFor(ctx, c, from, rows)
	if err != nil {
		return err
	}
	operators, err := s.asOperator(ctx, rows)
	if err != nil {
		return err
	}
	for i, row := range rows {
		page.Examined++
		page.Last = &ReplayPlace{row.OccurredAt.UTC(), row.Seq}
		q := verdict.Question{Person: orZero(row.UserID), Door: orZero(row.DoorID), At: row.OccurredAt,
			Manner: mannerOf(row, operators)}
		was, is := before.Decide(q), after.Decide(q)
		if was.Granted == is.Granted && was.Reason == is.Reason {
			continue
		}
		e := journal.FromRow(row)
		page.Found = append(page.Found, &PolicyReplayItem{&e, &was, &is})
		if len(page.Found) == limit {
			page.More = page.More || i < len(rows)-1
			return nil
		}
	}
	return nil
}

// policiesFor compiles what bears on the people and the doors of events, without a change and with
// it.
func (s *Service) policiesFor(
	ctx context.Context, c change, from time.Time, rows []*ent.Event,
) (before, after *verdict.Policy, err error) {
	people, doors := map[typeid.User]bool{}, map[typeid.Door]bool{}
	for _, row := range rows {
		people[orZero(row.UserID)], doors[orZero(row.DoorID)] = true, true
	}
	l := s.newFacts(ctx, s.db, from, free)
	was, is, err := l.beforeAndAfter(ctx, c, slices.Collect(maps.Keys(people)),
		slices.Collect(maps.Keys(doors)))
	if err != nil {
		return nil, nil, err
	}
	return verdict.Compile(was), verdict.Compile(is), nil
}

// asOperator tells which of the events' commands invoked the operator's right.
func (s *Service) asOperator(
	ctx context.Context, rows []*ent.Event,
) (map[typeid.Command]bool, error) {
	ids := make([]typeid.Command, len(rows))
	for i, row := range rows {
		ids[i] = orZero(row.CommandID)
	}
	commands, err := s.db.Command.Query().Select(command.FieldID).
		Where(command.AsOperator(true), whose(command.FieldID, ids)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load commands: %w", err)
	}
	operators := make(map[typeid.Command]bool, len(commands))
	for _, c := range commands {
		operators[c.ID] = true
	}
	return operators, nil
}

// mannerOf is how somebody asked.
func mannerOf(row *ent.Event, operators map[typeid.Command]bool) verdict.Manner {
	switch {
	case operators[orZero(row.CommandID)]:
		return verdict.Operator
	case orZero(row.Method) == event.MethodREMOTE:
		return verdict.Remote
	}
	return verdict.AtDoor
}
