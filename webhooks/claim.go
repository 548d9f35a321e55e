package webhooks

import (
	"cmp"
	"context"
	stdsql "database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cardea/cardea/ent/predicate"
	"github.com/cardea/cardea/ent/webhookdelivery"
	"github.com/cardea/cardea/typeid"
)

// window is how many deliveries of one endpoint may be in flight, over all processes.
const window = 10

// delivery is a claimed delivery. Until leasedUntil it is ours, and that instant proves it: nobody
// can claim it again before, so no later lease ends at the same one.
type delivery struct {
	id           typeid.WebhookDelivery
	organization typeid.Organization
	endpoint     typeid.WebhookEndpoint
	event        typeid.Event
	sequence     int64
	attempts     int // so far
	dueAt        time.Time
	leasedUntil  time.Time
	url          string
	secret       []byte
}

// claimSQL leases what is due. It looks at each endpoint through a window: the endpoint's first ten
// due deliveries, leased ones included. Only what is in the window may be claimed, which bounds
// what is in flight without counting it, and keeps the backlog of one endpoint from hiding another.
//
// Pending finds the endpoints with pending deliveries by skipping through the index, so the cost
// does not grow with endpoints that are idle, nor with the length of a backlog.
const claimSQL = `
WITH RECURSIVE pending AS (
  (SELECT endpoint_id FROM webhook_deliveries
   WHERE state = 'PENDING' ORDER BY endpoint_id LIMIT 1)
  UNION ALL
  SELECT (
    SELECT d.endpoint_id FROM webhook_deliveries d
    WHERE d.state = 'PENDING' AND d.endpoint_id > p.endpoint_id
    ORDER BY d.endpoint_id LIMIT 1)
  FROM pending p WHERE p.endpoint_id IS NOT NULL
), due AS (
  SELECT w.id, e.url, e.secret
  FROM pending p
  JOIN webhook_endpoints e ON e.id = p.endpoint_id AND e.enabled
  CROSS JOIN LATERAL (
    SELECT d.id, d.next_at, d.event_seq, d.leased_until FROM webhook_deliveries d
    WHERE d.org_id = e.org_id AND d.endpoint_id = e.id AND d.state = 'PENDING' AND d.next_at <= $1
    ORDER BY d.next_at, d.event_seq LIMIT $4) w
  WHERE w.leased_until IS NULL OR w.leased_until <= $1
  ORDER BY w.next_at, w.event_seq LIMIT $3
), free AS (
  SELECT d.id, due.url, due.secret
  FROM webhook_deliveries d JOIN due ON due.id = d.id
  WHERE d.state = 'PENDING' AND (d.leased_until IS NULL OR d.leased_until <= $1)
  FOR UPDATE OF d SKIP LOCKED
)
UPDATE webhook_deliveries d SET leased_until = $2
FROM free WHERE d.id = free.id
RETURNING d.id, d.org_id, d.endpoint_id, d.event_id, d.event_seq, d.attempts, d.next_at, free.url,
  free.secret`

// claim leases up to limit due deliveries, and returns them in the order in which to start them.
func (d *deliverer) claim(ctx context.Context, limit int) ([]delivery, error) {
	now := d.now()
	until := now.Add(d.lease)
	rows, err := d.db.QueryContext(ctx, claimSQL, now, until, limit, window)
	if err != nil {
		return nil, fmt.Errorf("claim deliveries: %w", err)
	}
	claimed, err := scanDeliveries(rows, until)
	if err != nil {
		return nil, fmt.Errorf("claim deliveries: %w", err)
	}
	slices.SortFunc(claimed, func(a, b delivery) int {
		return cmp.Or(a.dueAt.Compare(b.dueAt), cmp.Compare(a.sequence, b.sequence))
	})
	return claimed, nil
}

func scanDeliveries(rows *stdsql.Rows, until time.Time) (claimed []delivery, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		c := delivery{leasedUntil: until}
		err := rows.Scan(&c.id, &c.organization, &c.endpoint, &c.event, &c.sequence, &c.attempts,
			&c.dueAt, &c.url, &c.secret)
		if err != nil {
			return nil, err
		}
		claimed = append(claimed, c)
	}
	return claimed, rows.Err()
}

// release gives deliveries of one claim back, as if they had never been claimed.
func (d *deliverer) release(ctx context.Context, claimed ...delivery) error {
	ctx, cancel := unhurried(ctx)
	defer cancel()
	ids := make([]typeid.WebhookDelivery, len(claimed))
	for i, c := range claimed {
		ids[i] = c.id
	}
	err := d.db.WebhookDelivery.Update().
		Where(webhookdelivery.IDIn(ids...), webhookdelivery.LeasedUntil(claimed[0].leasedUntil)).
		ClearLeasedUntil().Exec(ctx)
	if err != nil {
		return fmt.Errorf("release deliveries: %w", err)
	}
	return nil
}

// ours matches the delivery as long as our lease has not passed to another.
func ours(c delivery) predicate.WebhookDelivery {
	return webhookdelivery.And(webhookdelivery.ID(c.id), webhookdelivery.LeasedUntil(c.leasedUntil))
}
