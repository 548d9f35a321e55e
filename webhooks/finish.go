package webhooks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/webhookdelivery"
)

// errLeaseLost says that the delivery is another's now, or was deleted. Our attempt is unrecorded.
var errLeaseLost = errors.New("lease lost")

// goneReason is what an endpoint that answered 410 is disabled for.
const goneReason = "answered 410 Gone"

// finish records an attempt and what follows from it, in one transaction, if the delivery is still
// ours; otherwise it returns errLeaseLost. An endpoint that wants nothing more is disabled first:
// if that fails the attempt is not recorded, and so will be repeated.
func (d *deliverer) finish(ctx context.Context, c delivery, o outcome, v verdict) error {
	if v.gone {
		if err := d.access.DisableWebhookEndpoint(ctx, c.endpoint, goneReason); err != nil {
			return fmt.Errorf("disable endpoint: %w", err)
		}
	}
	tx, err := d.db.Tx(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err = d.moveOn(ctx, tx, c, o, v); err == nil {
		err = addAttempt(ctx, tx, c, o)
	}
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// moveOn gives the delivery its next state and ends our lease.
func (d *deliverer) moveOn(
	ctx context.Context, tx *ent.Tx, c delivery, o outcome, v verdict,
) error {
	update := tx.WebhookDelivery.Update().Where(ours(c)).AddAttempts(1).ClearLeasedUntil()
	switch {
	case !v.retryAt.IsZero():
		update.SetNextAt(v.retryAt)
	case o.class == "":
		update.SetState(webhookdelivery.StateDELIVERED).ClearNextAt().SetEndedAt(d.now())
	default:
		update.SetState(webhookdelivery.StateFAILED).ClearNextAt().SetEndedAt(d.now())
	}
	n, err := update.Save(ctx)
	if err != nil {
		return fmt.Errorf("update delivery: %w", err)
	}
	if n == 0 {
		return errLeaseLost
	}
	return nil
}

func addAttempt(ctx context.Context, tx *ent.Tx, c delivery, o outcome) error {
	create := tx.WebhookAttempt.Create().SetDeliveryID(c.id).SetNumber(c.attempts + 1).
		SetStartedAt(o.startedAt).SetDurationMs(o.took.Round(time.Millisecond).Milliseconds())
	if o.status != 0 {
		create.SetStatusCode(o.status)
	}
	if o.class != "" {
		create.SetErrorClass(string(o.class))
	}
	if o.body != "" {
		create.SetResponseBody(o.body)
	}
	if err := create.Exec(ctx); err != nil {
		return fmt.Errorf("record attempt: %w", err)
	}
	return nil
}
