package devicelink

import (
	"context"
	"strconv"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent/event"
)

// maxBatch is the most reports that one link has in memory besides those being committed.
const maxBatch = 128

// logEntry is a frame of the device's log.
type logEntry interface{ report() *access.Report }

func (r *Report) report() *access.Report {
	return &access.Report{
		Sequence: r.Sequence, OccurredAt: instant(r.At), Delivery: delivery(r.Buffered),
		Port: r.Port, Type: r.Event, LockState: r.LockState, Position: r.Position,
		User: r.UserID, Method: r.Method, Outcome: r.Outcome, Reason: r.Reason, Data: r.Data,
	}
}

func (r *Result) report() *access.Report {
	return &access.Report{
		Sequence: r.Sequence, OccurredAt: instant(r.At), Delivery: delivery(r.Buffered),
		Port: r.Port, LockState: r.LockState, Position: r.Position,
		Result: &access.Result{
			Command: r.CommandID, Stage: r.Stage, Reason: r.Reason, Confirmation: r.Confirmation,
		},
	}
}

// instant is a device's time as Postgres keeps it.
func instant(at time.Time) time.Time { return at.UTC().Truncate(time.Microsecond) }

func delivery(buffered bool) event.Delivery {
	if buffered {
		return event.DeliveryBUFFERED
	}
	return event.DeliveryLIVE
}

// record commits what the device reports, and acknowledges it. What arrives during a commit shares
// the next one. It goes on after the link's end until all that was read is committed.
func (l *link) record(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	for first := range l.reports {
		acked, err := l.commit(ctx, l.gather(first))
		if err != nil {
			l.end(err)
			return
		}
		_ = l.write(&Ack{Sequence: acked}, time.Time{}) // if the link has ended, its next welcome tells
	}
}

// gather takes, with first, what has arrived by now.
func (l *link) gather(first *access.Report) []access.Report {
	batch := []access.Report{*first}
	for len(batch) < maxBatch {
		select {
		case next, ok := <-l.reports:
			if !ok {
				return batch
			}
			batch = append(batch, *next)
		default:
			return batch
		}
	}
	return batch
}

// commit records a batch whole or, if one report in it makes no sense, those before that one.
func (l *link) commit(ctx context.Context, batch []access.Report) (acked int64, err error) {
	acked, err = l.commitOnce(ctx, batch)
	if !access.IsCode(err, access.CodeBadUserInput) {
		return acked, err
	}
	for _, r := range batch {
		acked, err = l.commitOnce(ctx, []access.Report{r})
		if access.IsCode(err, access.CodeBadUserInput) {
			return 0, refusedReportError{r.Sequence, err}
		}
		if err != nil {
			return 0, err
		}
	}
	return acked, nil
}

func (l *link) commitOnce(ctx context.Context, batch []access.Report) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	acked, err := l.handler.access.RecordReports(ctx, l.Epoch, batch)
	if err != nil {
		return 0, err
	}
	l.counted.Add(int64(len(batch)))
	l.handler.metrics.reports.Add(float64(len(batch)))
	l.handler.metrics.batches.Observe(float64(len(batch)))
	return acked, nil
}

// refusedReportError is a report that can never be recorded.
type refusedReportError struct {
	sequence int64
	why      error
}

func (r refusedReportError) Error() string {
	return "report " + strconv.FormatInt(r.sequence, 10) + ": " + r.why.Error()
}

func (r refusedReportError) Unwrap() []error {
	return []error{r.why, closing{CloseReportRefused, strconv.FormatInt(r.sequence, 10)}}
}
