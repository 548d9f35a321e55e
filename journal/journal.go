// Package journal appends: it is the record of everything that happened, one gapless numbered chain
// per organization. A row of it is at once the audit record, the entry of the live stream, the
// webhook event and the cursor from which a reader resumes.
//
// Guarantees:
//
//   - A change and the event that tells of it commit together, or neither does. Append is the last
//     statement of the transaction that makes the change.
//
//   - Numbers are gapless, and commit order is number order: Append holds the organization's head
//     row until the transaction ends, so no reader who saw number n can later meet a smaller one.
//
//   - The log is a transparency log (RFC 6962). An event's leaf hash covers its canonical bytes
//     (Event.Encode), which its row reproduces exactly; the head row carries the tree's compact
//     range, so appending costs O(log n) and the root is known at every size.
//
//   - An event is never changed. It holds identifiers, never names, card numbers or PINs, so a
//     person can be erased and the log still verifies.
//
//   - A Notary signs checkpoints of it, which Postgres lets nobody change, and keeps the tree in tiles
//     apart from the events: what was recorded can be proved when the events are gone.
//
// Two organizations never wait for each other. Within one, appends queue for one insert and commit.
//
// The package imports ent, actor and typeid. Its folder signed is what a checkpoint is.
package journal

import (
	"context"
	"errors"
	"fmt"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/journalhead"
	"github.com/cardea/cardea/typeid"
)

// ErrCursorExpired says that events after a cursor are gone: retention has passed it.
var ErrCursorExpired = errors.New("cursor is before retention")

// Log reads the journals of all organizations, as the system actor "journal".
type Log struct{ db *ent.Client }

// Open returns a reader on the client's journals.
func Open(db *ent.Client) *Log { return &Log{db: db} }

// Read returns up to limit events with a sequence greater than after, in order and without a hole. It
// returns ErrCursorExpired if the first of them is no longer kept; before what is not, it ends.
func (l *Log) Read(
	ctx context.Context, org typeid.Organization, after int64, limit int,
) ([]Event, error) {
	events, err := l.read(ctx, org, after, limit)
	if err != nil || len(events) > 0 {
		return events, err
	}
	// Perhaps there is nothing yet, perhaps nothing any more. What the head knows of is committed.
	head, err := l.Head(ctx, org)
	if err != nil || head <= after {
		return nil, err
	}
	if events, err = l.read(ctx, org, after, limit); err == nil && len(events) == 0 {
		err = ErrCursorExpired
	}
	return events, err
}

func (l *Log) read(
	ctx context.Context, org typeid.Organization, after int64, limit int,
) ([]Event, error) {
	rows, err := l.db.Event.Query().
		Where(event.OrgID(org), event.SeqGT(after)).
		Order(event.BySeq()).Limit(limit).All(reader(ctx))
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	if len(rows) > 0 && rows[0].Seq != after+1 {
		return nil, ErrCursorExpired
	}
	events := make([]Event, 0, len(rows))
	for i, row := range rows {
		if row.Seq != after+int64(i)+1 {
			break
		}
		events = append(events, FromRow(row))
	}
	return events, nil
}

// Head returns the sequence of the organization's newest event, 0 if there is none.
func (l *Log) Head(ctx context.Context, org typeid.Organization) (int64, error) {
	head, err := l.db.JournalHead.Query().Where(journalhead.ID(org)).Only(reader(ctx))
	if ent.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read journal head: %w", err)
	}
	return head.Seq, nil
}

// Heads returns the newest sequence of every organization.
func (l *Log) Heads(ctx context.Context) (map[typeid.Organization]int64, error) {
	rows, err := l.db.JournalHead.Query().All(reader(ctx))
	if err != nil {
		return nil, fmt.Errorf("read journal heads: %w", err)
	}
	heads := make(map[typeid.Organization]int64, len(rows))
	for _, row := range rows {
		heads[row.ID] = row.Seq
	}
	return heads, nil
}

func reader(ctx context.Context) context.Context {
	return actor.NewContext(ctx, actor.System("journal"))
}
