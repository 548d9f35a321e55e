// Package transfer carries people, groups and keys in and out, as CSV files that spreadsheets read, and
// a whole organization, as an archive.
//
// Guarantees:
//
//   - What is exported imports unchanged, into the same organization.
//   - An import is one transaction: all of its rows, or none if one is at fault. A dry run says the same
//     and does nothing. No import deletes anything.
//   - No cell that is exported is a formula.
//   - An export is in the journal before its first byte leaves.
//   - An archive is of one instant. An organization that is imported from one is what it was, and its archive
//     is the same again, but for what the manifest says is left out and the event of the import.
//
// Requests come with an actor, or are refused. Reads go to ent, narrowed as graph's are; writes to access.
// The package imports access, journal, ent, actor and typeid.
package transfer

import (
	"encoding/json"
	"errors"
	"log/slog"
	"mime"
	"net/http"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/rule"
	"github.com/cardea/cardea/journal"
)

// Below which paths everything is.
const (
	ImportPath = "/import/v1/"
	ExportPath = "/export/v1/"
)

// KeysPath is where everybody reads the public keys of the log.
const KeysPath = "/.well-known/cardea-log-keys"

// maxFile is the size of the largest file, in bytes: access.MaxImport rows fit.
const maxFile = 8 << 20

// Config is what the handler needs.
type Config struct {
	Access *access.Service
	// DB carries the tenancy rule (rule.Guard).
	DB *ent.Client
	// Notary signs what an export of the log ends with.
	Notary *journal.Notary
	Log    *slog.Logger
}

type transfer struct {
	access *access.Service
	db     *ent.Client
	notary *journal.Notary
	log    *slog.Logger
}

// New returns the handler of everything below ImportPath and ExportPath, by the full path.
func New(cfg Config) http.Handler {
	t := &transfer{cfg.Access, cfg.DB, cfg.Notary, cfg.Log}
	mux := http.NewServeMux()
	for noun, takes := range map[string]importer{
		"users": t.importUsers, "user-groups": t.importUserGroups, "keys": t.importKeys,
	} {
		mux.HandleFunc("POST "+ImportPath+noun+".csv", t.take(takes))
	}
	for noun, gives := range map[string]exporter{
		"users": t.exportUsers, "user-groups": t.exportUserGroups, "keys": t.exportKeys,
	} {
		mux.HandleFunc("GET "+ExportPath+noun+".csv", t.give(noun, gives))
	}
	mux.HandleFunc("GET "+ExportPath+"organization.zip", t.giveArchive)
	mux.HandleFunc("GET "+ExportPath+"audit-log.ndjson", t.giveLog)
	mux.HandleFunc("GET "+ExportPath+"audit-log.csv", t.giveLogTable)
	mux.HandleFunc("GET "+KeysPath, t.giveKeys)
	return mux
}

// importer takes a file.
type importer func(r *http.Request, file *table, dryRun bool) (*access.ImportReport, error)

// exporter writes the rows of a file after its header, which it names first.
type exporter func(r *http.Request, to *writer) error

func (t *transfer) take(takes importer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil || kind != "text/csv" {
			t.fail(w, r, access.Error{Code: access.CodeBadUserInput, Message: "send text/csv"})
			return
		}
		file, err := readTable(http.MaxBytesReader(w, r.Body, maxFile))
		if err != nil {
			t.fail(w, r, err)
			return
		}
		report, err := takes(r, file, r.URL.Query().Get("dryRun") == "true")
		if err != nil {
			t.fail(w, r, err)
			return
		}
		writeReport(w, report)
	}
}

func (t *transfer) give(noun string, gives exporter) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := t.access.RecordExport(r.Context(), noun); err != nil {
			t.fail(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		w.Header().Set("Content-Disposition", `attachment; filename="`+noun+`.csv"`)
		to := newWriter(w)
		err := gives(r, to)
		if err == nil {
			err = to.end()
		}
		if err != nil {
			t.broke(r, err)
		}
	}
}

// broke ends a request whose answer has begun: what was sent looks whole unless the connection breaks.
func (t *transfer) broke(r *http.Request, err error) {
	t.log.ErrorContext(r.Context(), "export broke off",
		"request", actor.RequestID(r.Context()), "error", err)
	panic(http.ErrAbortHandler)
}

// report is what an import did, as JSON.
type report struct {
	Applied   bool        `json:"applied"`
	Created   int         `json:"created"`
	Updated   int         `json:"updated"`
	Unchanged int         `json:"unchanged"`
	Faulty    int         `json:"faulty"`
	Rows      []rowReport `json:"rows"`
}

type rowReport struct {
	Line   int                 `json:"line"`
	Effect access.ImportEffect `json:"effect,omitempty"`
	Errors []fault             `json:"errors,omitempty"`
}

type fault struct {
	Message string      `json:"message"`
	Code    access.Code `json:"code"`
	Field   string      `json:"field,omitempty"`
}

// writeReport answers 422 if a row is at fault, be it a dry run or not.
func writeReport(w http.ResponseWriter, of *access.ImportReport) {
	shown := report{
		Applied: of.Applied, Created: of.Count(access.ImportCreate), Updated: of.Count(access.ImportUpdate),
		Unchanged: of.Count(access.ImportUnchanged), Faulty: of.Count(""), Rows: make([]rowReport, len(of.Rows)),
	}
	for i, row := range of.Rows {
		shown.Rows[i] = rowReport{Line: row.Line, Effect: row.Effect}
		for _, f := range row.Faults {
			shown.Rows[i].Errors = append(shown.Rows[i].Errors, fault{f.Message, f.Code, f.Field})
		}
	}
	status := http.StatusOK
	if shown.Faulty > 0 {
		status = http.StatusUnprocessableEntity
	}
	writeJSON(w, status, shown)
}

// failure has the shape of GraphQL's errors.
type failure struct {
	Message    string `json:"message"`
	Extensions struct {
		Code      access.Code `json:"code"`
		Field     string      `json:"field,omitempty"`
		RequestID string      `json:"requestId"`
	} `json:"extensions"`
}

var statuses = map[access.Code]int{
	access.CodeBadUserInput: http.StatusBadRequest, access.CodeForbidden: http.StatusForbidden,
	access.CodeConflict: http.StatusConflict, access.CodeNotFound: http.StatusNotFound,
	access.CodeUnauthenticated: http.StatusUnauthorized,
}

// fail shows what is the caller's, and logs and masks the rest.
func (t *transfer) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, rule.ErrNoActor) {
		w.Header().Set("WWW-Authenticate", "Bearer")
		err = access.Error{Code: access.CodeUnauthenticated, Message: "a token is needed"}
	}
	refusal, _ := errors.AsType[access.Error](err)
	status, known := statuses[refusal.Code]
	if !known {
		t.log.ErrorContext(r.Context(), "transfer failed",
			"request", actor.RequestID(r.Context()), "error", err)
		refusal = access.Error{Code: "INTERNAL", Message: "something went wrong here"}
		status = http.StatusInternalServerError
	}
	all, many := errors.AsType[access.Errors](err)
	if !many {
		all = access.Errors{refusal}
	}
	shown := make([]failure, len(all))
	for i, one := range all {
		shown[i].Message = one.Message
		shown[i].Extensions.Code, shown[i].Extensions.Field = one.Code, one.Field
		shown[i].Extensions.RequestID = actor.RequestID(r.Context())
	}
	writeJSON(w, status, map[string][]failure{"errors": shown})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // that the client has gone is nothing to act on
}
