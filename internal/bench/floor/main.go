// Command floor is what Cardea is measured against: it gives the same answers, does the same writes
// and carries the same messages with as little as Go, lib/pq and coder/websocket allow. No GraphQL,
// no authorization, no tenancy, no journal, no second node.
//
// Reads are one hand-written statement on Cardea's own tables. Writes go to copies of its tables in
// the schema "floor", which is made anew at each start: what it writes would be no valid model.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cardea/cardea/ent/pool"
	"github.com/cardea/cardea/typeid"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

// poolSize is Cardea's default.
const poolSize = 10

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("floor", flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:8081", "address to listen on")
	database := flags.String("database", "", "URL of a database that Cardea has migrated")
	organization := flags.String("organization", "", "whose rows it reads")
	if err := flags.Parse(args); err != nil {
		return err
	}
	org, err := typeid.Parse[typeid.Organization](*organization)
	if err != nil {
		return err
	}
	db, err := pool.Open(*database, poolSize, pool.FenceOff)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return fmt.Errorf("make the schema: %w", err)
	}
	return serve(ctx, *addr, newFloor(db, org))
}

const schema = `
DROP SCHEMA IF EXISTS floor CASCADE;
CREATE SCHEMA floor;
CREATE TABLE floor.keys (LIKE public.keys INCLUDING ALL);
CREATE TABLE floor.key_targets (LIKE public.key_targets INCLUDING ALL);
CREATE TABLE floor.commands (LIKE public.commands INCLUDING ALL);
CREATE TABLE floor.events (LIKE public.events INCLUDING ALL)`

func serve(ctx context.Context, addr string, f *floor) error {
	web := &http.Server{Addr: addr, Handler: f.routes(), ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- web.ListenAndServe() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return web.Close() // which leaves WebSockets to the end of the process
	}
}

// floor holds what its handlers share.
type floor struct {
	db       *sql.DB
	org      typeid.Organization
	site     typeid.Site // of no row, like door and device: columns that events have
	door     typeid.Door
	device   typeid.Device
	sequence atomic.Int64
	lock     lock
	audience audience
}

func newFloor(db *sql.DB, org typeid.Organization) *floor {
	return &floor{
		db: db, org: org, site: typeid.New[typeid.Site](), door: typeid.New[typeid.Door](),
		device: typeid.New[typeid.Device](),
	}
}

func (f *floor) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.Handle("POST /door", answer(f.readDoor))
	mux.Handle("POST /site", answer(f.readSite))
	mux.Handle("POST /events", answer(f.readEvents))
	mux.Handle("POST /key", answer(f.grantKey))
	mux.Handle("POST /unlock", answer(f.unlock))
	mux.HandleFunc("GET /echo", echo)
	mux.HandleFunc("GET /lock", f.lock.hold)
	mux.HandleFunc("GET /reports", f.takeReports)
	mux.HandleFunc("GET /listen", f.audience.listen)
	mux.HandleFunc("GET /publish", f.audience.publish)
	return mux
}

// answer decodes the variables of a GraphQL request, ignores its document, and wraps what do returns
// as the data of a response.
func answer[V, D any](do func(context.Context, V) (D, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request struct {
			Variables V `json:"variables"`
		}
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		data, err := do(r.Context(), request.Variables)
		if errors.Is(err, context.Canceled) {
			return
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]D{"data": data})
	})
}

// instant is how Cardea writes times.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }
