package transfer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/journal"
)

// giveLog sends the audit log with its proof. Query: first and last, or from and to; size and after to go on;
// previous.
func (t *transfer) giveLog(w http.ResponseWriter, r *http.Request) {
	t.sendLog(w, r, "application/x-ndjson", "audit-log.ndjson",
		func(to io.Writer, p *logPlan) error { return p.write(r.Context(), to) })
}

// giveLogTable sends the audit log for spreadsheets, without a proof.
func (t *transfer) giveLogTable(w http.ResponseWriter, r *http.Request) {
	t.sendLog(w, r, "text/csv; charset=utf-8", "audit-log.csv",
		func(to io.Writer, p *logPlan) error { return p.writeTable(r.Context(), to) })
}

func (t *transfer) sendLog(
	w http.ResponseWriter, r *http.Request, kind, name string, write func(io.Writer, *logPlan) error,
) {
	want, err := readRange(r)
	if err == nil {
		err = t.access.RecordExport(r.Context(), access.AuditLog)
	}
	var p *logPlan
	if err == nil {
		by, _ := actor.FromContext(r.Context())
		p, err = LogSource{t.db, t.notary, by.Organization}.plan(r.Context(), want)
	}
	if err != nil {
		t.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	w.Header().Set("Cardea-Log-Size", strconv.FormatInt(p.header.Size, 10))
	to := bufio.NewWriterSize(patient{w, http.NewResponseController(w)}, 64<<10)
	if err := errors.Join(write(to, p), to.Flush()); err != nil {
		t.broke(r, err)
	}
}

// readRange reads the query of a request for the log. The error lists every fault.
func readRange(r *http.Request) (want LogRange, err error) {
	var faults access.Errors
	asked := r.URL.Query()
	refuse := func(field, message string) {
		faults = append(faults, access.Error{Code: access.CodeBadUserInput, Field: field, Message: message})
	}
	for field, to := range map[string]*int64{"first": &want.First, "last": &want.Last,
		"size": &want.Size, "after": &want.After, "previous": &want.Previous} {
		if !asked.Has(field) {
			continue
		}
		if *to, err = strconv.ParseInt(asked.Get(field), 10, 64); err != nil || *to < 1 {
			refuse(field, "must be a positive number")
		}
	}
	for field, to := range map[string]*time.Time{"from": &want.From, "to": &want.To} {
		if !asked.Has(field) {
			continue
		}
		if *to, err = time.Parse(time.RFC3339, asked.Get(field)); err != nil {
			refuse(field, "must be an instant, such as 2026-11-21T08:00:00Z")
		}
	}
	if asked.Has("from") && asked.Has("first") || asked.Has("to") && asked.Has("last") {
		refuse("from", "an export is cut by times or by sequences")
	}
	if want.After > 0 && want.Size == 0 {
		refuse("size", "must say under which checkpoint the export began")
	}
	if len(faults) > 0 {
		return want, faults
	}
	return want, nil
}

var logColumns = []string{"sequence", "id", "type", "occurredAt", "receivedAt", "delivery", "actorKind",
	"actorId", "applicationId", "siteId", "doorId", "deviceId", "userId", "keyId", "commandId", "outcome",
	"reason", "method", "severity", "data"}

// writeTable writes the entries as rows.
func (p *logPlan) writeTable(ctx context.Context, to io.Writer) error {
	w := newWriter(to)
	next := p.header.First
	if p.after > 0 {
		next = max(p.after+1, next)
	} else if err := w.row(append([]string{}, logColumns...)...); err != nil {
		return err
	}
	for next <= p.header.Last {
		end := min(next+logPage-1, p.header.Last)
		rows, err := p.source.DB.Event.Query().Where(event.SeqGTE(next), event.SeqLTE(end)).
			Order(event.BySeq()).All(ctx)
		if err != nil {
			return fmt.Errorf("read log: %w", err)
		}
		for _, row := range rows {
			if err := w.row(cellsOf(journal.FromRow(row))...); err != nil {
				return err
			}
		}
		next = end + 1
	}
	return w.end()
}

func cellsOf(e journal.Event) []string {
	at := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }
	return []string{strconv.FormatInt(e.Sequence, 10), e.ID.String(), e.Type, at(e.OccurredAt), at(e.ReceivedAt),
		string(e.Delivery), string(e.Actor.Kind), e.Actor.ID, e.Actor.Application.String(), e.Site.String(),
		e.Door.String(), e.Device.String(), e.User.String(), e.Key.String(), e.Command.String(),
		string(e.Outcome), string(e.Reason), string(e.Method), string(e.Severity), string(e.Data)}
}
