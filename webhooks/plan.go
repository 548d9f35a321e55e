package webhooks

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"entgo.io/ent/dialect/sql"
	"github.com/lib/pq"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/journalhead"
	"github.com/cardea/cardea/ent/webhookcursor"
	"github.com/cardea/cardea/ent/webhookendpoint"
	"github.com/cardea/cardea/typeid"
)

// planBatch is how many events one transaction plans.
const planBatch = 500

// errBusy says that another process is planning the organization at this moment.
var errBusy = errors.New("cursor is locked")

// plan plans the organization's next batch of events, all of it or nothing, and says whether there
// is more.
func (p *planner) plan(ctx context.Context, org typeid.Organization) (more bool, err error) {
	tx, err := p.db.Tx(ctx)
	if err != nil {
		return false, fmt.Errorf("begin: %w", err)
	}
	planned, more, err := p.planBatch(ctx, tx, org)
	if err != nil {
		return false, errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return false, fmt.Errorf("commit: %w", err)
	}
	if planned > 0 {
		p.count.Add(float64(planned))
		p.planned.ring()
	}
	return more, nil
}

// planBatch reads the head before the endpoints, and plans no event past it. So every endpoint that
// was enabled before one of these events is among those that it sees.
func (p *planner) planBatch(
	ctx context.Context, tx *ent.Tx, org typeid.Organization,
) (planned int64, more bool, err error) {
	after, err := lockCursor(ctx, tx, org)
	if err != nil {
		return 0, false, err
	}
	head, err := tx.JournalHead.Query().Where(journalhead.ID(org)).Only(ctx)
	if err != nil {
		return 0, false, fmt.Errorf("read journal head: %w", err)
	}
	endpoints, err := tx.WebhookEndpoint.Query().Where(webhookendpoint.Enabled(true)).All(ctx)
	if err != nil {
		return 0, false, fmt.Errorf("read endpoints: %w", err)
	}
	upTo := head.Seq
	if first := firstWanted(endpoints, after, upTo); first < upTo {
		events, err := p.readEvents(ctx, tx, org, first, upTo)
		if err != nil {
			return 0, false, err
		}
		if len(events) == planBatch {
			upTo = events[planBatch-1].Seq
		}
		if planned, err = p.insert(ctx, tx, org, match(events, endpoints)); err != nil {
			return 0, false, err
		}
	}
	if err := tx.WebhookCursor.UpdateOneID(org).SetSeq(upTo).Exec(ctx); err != nil {
		return 0, false, fmt.Errorf("move cursor: %w", err)
	}
	return planned, upTo < head.Seq, nil
}

// lockCursor returns the sequence up to which the organization is planned, and makes sure that
// nobody else plans it until the transaction ends. It returns errBusy if somebody does.
func lockCursor(ctx context.Context, tx *ent.Tx, org typeid.Organization) (int64, error) {
	cursor, err := tx.WebhookCursor.Query().Where(webhookcursor.ID(org)).
		ForUpdate(sql.WithLockAction(sql.SkipLocked)).Only(ctx)
	if err == nil {
		return cursor.Seq, nil
	}
	if !ent.IsNotFound(err) {
		return 0, fmt.Errorf("lock cursor: %w", err)
	}
	result, err := tx.ExecContext(ctx,
		`INSERT INTO webhook_cursors (org_id, seq) VALUES ($1, 0) ON CONFLICT DO NOTHING`, org)
	if err != nil {
		return 0, fmt.Errorf("create cursor: %w", err)
	}
	if created, err := result.RowsAffected(); err != nil || created == 0 {
		return 0, errors.Join(errBusy, err)
	}
	return 0, nil
}

// firstWanted returns the sequence after which an endpoint may want an event; upTo if none does.
func firstWanted(endpoints []*ent.WebhookEndpoint, after, upTo int64) int64 {
	first := upTo
	for _, e := range endpoints {
		first = min(first, max(after, e.FromSeq))
	}
	return first
}

// readEvents reads what planning needs of the next events: numbers, identifiers and types.
func (p *planner) readEvents(
	ctx context.Context, tx *ent.Tx, org typeid.Organization, after, upTo int64,
) ([]*ent.Event, error) {
	events, err := tx.Event.Query().Where(event.SeqGT(after), event.SeqLTE(upTo)).
		Order(event.BySeq()).Limit(planBatch).
		Select(event.FieldID, event.FieldSeq, event.FieldType).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	if len(events) == 0 || events[0].Seq != after+1 {
		p.log.ErrorContext(ctx, "events were removed before webhooks had planned them",
			"organization", org, "after", after, "head", upTo)
	}
	return events, nil
}

// pair is an event that an endpoint wants.
type pair struct {
	event    *ent.Event
	endpoint *ent.WebhookEndpoint
}

func match(events []*ent.Event, endpoints []*ent.WebhookEndpoint) (pairs []pair) {
	for _, e := range events {
		for _, to := range endpoints {
			wanted := len(to.EventTypes) == 0 || slices.Contains(to.EventTypes, e.Type)
			if wanted && e.Seq > to.FromSeq {
				pairs = append(pairs, pair{e, to})
			}
		}
	}
	return pairs
}

const insertSQL = `
INSERT INTO webhook_deliveries
  (id, org_id, endpoint_id, event_id, event_seq, state, attempts, next_at, created_at)
SELECT id, $1, endpoint_id, event_id, event_seq, 'PENDING', 0, $2, $2
FROM unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::bigint[])
  AS pairs (id, endpoint_id, event_id, event_seq)
ON CONFLICT (org_id, endpoint_id, event_seq) DO NOTHING`

// insert makes a delivery, due now, of each pair that has none yet, and says how many that was.
func (p *planner) insert(
	ctx context.Context, tx *ent.Tx, org typeid.Organization, pairs []pair,
) (int64, error) {
	if len(pairs) == 0 {
		return 0, nil
	}
	ids := make([]typeid.WebhookDelivery, len(pairs))
	endpoints := make([]typeid.WebhookEndpoint, len(pairs))
	events := make([]typeid.Event, len(pairs))
	sequences := make([]int64, len(pairs))
	for i, pair := range pairs {
		ids[i] = typeid.New[typeid.WebhookDelivery]()
		endpoints[i], events[i], sequences[i] = pair.endpoint.ID, pair.event.ID, pair.event.Seq
	}
	result, err := tx.ExecContext(ctx, insertSQL, org, p.now(),
		pq.Array(ids), pq.Array(endpoints), pq.Array(events), pq.Array(sequences))
	if err != nil {
		return 0, fmt.Errorf("insert deliveries: %w", err)
	}
	count, err := result.RowsAffected()
	if err != nil {
		return 0, fmt.Errorf("insert deliveries: %w", err)
	}
	return count, nil
}
