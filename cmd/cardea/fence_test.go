package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/pool"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/graph"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/typeid"
)

// fencedReads are Q1 to Q3 of docs/performance.md.
var fencedReads = []struct{ name, document string }{
	{"Q1", `query ($door: ID!) { door(id: $door) {
		id name lockState position mode site { id name timeZone } } }`},
	{"Q2", `query ($site: ID!) { site(id: $site) { id name doors(first: 50) { nodes {
		id name lockState events(first: 5) { nodes { id sequence type occurredAt } } } } } }`},
	{"Q3", `query ($door: ID!) { door(id: $door) { id events(first: 100) { nodes {
		id sequence type occurredAt outcome reason method actor { kind id } user { id name } } } } }`},
	{"row", ""}, // no API: one row by its identifier
}

// tenant is one organization to read.
type tenant struct {
	admin actor.Actor
	doors []*ent.Door
}

// side is an API over one way to fence.
type side struct {
	db      *ent.Client
	handler http.Handler
}

// BenchmarkFence measures what row-level security costs reads: the same reads with it and without, on
// one database, in turns of a quarter of a second. It reports the rate without and the median of what is left
// of it, for one organization and for twenty that take turns on the same connections, where Postgres
// has to be told of another one before nearly every statement.
//
// Without it means as a superuser, whom no policy holds.
//
//	make bench-fence
func BenchmarkFence(b *testing.B) {
	size := benchSize
	size.doors, size.users, size.keys, size.events = 2000, 2000, 4000, 100_000
	address := testenv.Postgres(b)
	load(b, address, size)
	u, err := url.Parse(address)
	if err != nil {
		b.Fatal(err)
	}
	u.User = url.User("cardea")
	without := openSide(b, u.String(), pool.FenceOff)
	sides := map[pool.Fencing]side{
		pool.FenceAll: openSide(b, address, pool.FenceAll), pool.FenceWrites: openSide(b, address, pool.FenceWrites),
	}
	tenants := loadTenants(b, without.db)
	for _, read := range fencedReads {
		for among, some := range map[string][]tenant{"one": tenants[:1], "many": tenants} {
			for how, with := range sides {
				b.Run(read.name+"/"+among+"/"+string(how), func(b *testing.B) {
					var left, rates []float64
					for b.Loop() {
						before := without.rate(b, read.document, some)
						after := with.rate(b, read.document, some)
						left, rates = append(left, after/before), append(rates, before)
					}
					slices.Sort(left)
					slices.Sort(rates)
					b.ReportMetric(rates[len(rates)/2], "without/s")
					b.ReportMetric(100*left[len(left)/2], "%left")
					b.ReportMetric(100*left[0], "%least")
					b.ReportMetric(100*left[len(left)-1], "%most")
				})
			}
		}
	}
}

func openSide(b *testing.B, address string, how pool.Fencing) side {
	b.Helper()
	db, err := pool.Open(address, 10, how)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	warm(b, db)
	client := pool.Client(db)
	service := access.New(access.Config{DB: client, Log: testenv.Logger(b)})
	return side{client, graph.New(graph.Config{
		DB: client, Access: service, Authenticate: service.Authenticate, Log: testenv.Logger(b),
	})}
}

func warm(b *testing.B, db *sql.DB) {
	b.Helper()
	if err := db.PingContext(b.Context()); err != nil {
		b.Fatal(err)
	}
}

func loadTenants(b *testing.B, db *ent.Client) (all []tenant) {
	b.Helper()
	for _, org := range db.Organization.Query().AllX(everywhere(b)) {
		ctx := actor.NewContext(b.Context(), actor.System("bench").Within(org.ID))
		owner := db.User.Query().Where(user.RoleEQ(actor.RoleOwner)).FirstX(ctx)
		all = append(all, tenant{
			actor.User(org.ID, owner.ID, owner.Role), db.Door.Query().Limit(100).AllX(ctx),
		})
	}
	return all
}

// rate is how many reads a second eight clients get through.
func (s side) rate(b *testing.B, document string, among []tenant) float64 {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 250*time.Millisecond)
	defer cancel()
	var clients sync.WaitGroup
	var next, done atomic.Int64
	begun := time.Now()
	for range 8 {
		clients.Go(func() {
			for ctx.Err() == nil {
				n := int(next.Add(1))
				of := among[n%len(among)]
				s.read(b, document, of, of.doors[n/len(among)%len(of.doors)])
				done.Add(1)
			}
		})
	}
	clients.Wait()
	return float64(done.Load()) / time.Since(begun).Seconds()
}

func (s side) read(b *testing.B, document string, of tenant, d *ent.Door) {
	b.Helper()
	ctx := actor.NewContext(actor.WithRequestID(b.Context(), "request"), of.admin)
	if document == "" {
		if n, err := s.db.Door.Query().Where(door.ID(d.ID)).Count(ctx); n != 1 || err != nil {
			b.Errorf("%d rows, %v", n, err)
		}
		return
	}
	body, _ := json.Marshal(map[string]any{"query": document, "variables": map[string]any{
		"door": d.ID, "site": d.SiteID}})
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/graphql", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	s.handler.ServeHTTP(answer, r)
	if text := answer.Body.String(); answer.Code != http.StatusOK ||
		strings.Contains(text, `"errors"`) || !strings.Contains(text, typeid.Door{}.Prefix()+"_") {
		b.Errorf("%d: %s", answer.Code, text)
	}
}
