package transfer_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/journal/extract"
	"github.com/cardea/cardea/transfer"
	"github.com/cardea/cardea/typeid"
)

var (
	writerKills   = flag.Int("writer-kills", 3, "processes that TestKilledWriters kills")
	writerEntries = flag.Int("writer-entries", 0, "how many entries there shall be before it ends")
	writerPause   = flag.Duration("writer-pause", time.Second, "between two kills")
)

const (
	writerProcesses = 4
	writersEach     = 16
	writerOrgs      = 10
)

// mill is many organizations, for which processes write that are killed.
type mill struct {
	t     *testing.T
	url   string
	db    *ent.Client
	orgs  []typeid.Organization
	kept  map[typeid.Organization]string // the newest checkpoint that was exported
	mu    sync.Mutex
	acked map[typeid.Organization]int64 // the newest number that a writer was told is committed
	count int64                         // acknowledged events
}

// TestKilledWriters has 64 writers in four processes append to ten logs, while these processes sign
// checkpoints and prune, and kills one after the other with SIGKILL. After each kill every log is exported
// and verified against the export before: nothing may be found, and nothing that was acknowledged may lack.
//
//	make writers
func TestKilledWriters(t *testing.T) {
	t.Parallel()
	m := &mill{t: t, url: testenv.Postgres(t), kept: map[typeid.Organization]string{},
		acked: map[typeid.Organization]int64{}}
	m.db = testenv.OpenClient(t, m.url)
	for range writerOrgs {
		m.orgs = append(m.orgs, typeid.New[typeid.Organization]())
		ctx := m.in(len(m.orgs) - 1)
		tx, err := m.db.Tx(ctx)
		must(t, err)
		tx.Organization.Create().SetID(m.orgs[len(m.orgs)-1]).SetName("Harbour").SaveX(ctx)
		must(t, journal.Start(ctx, tx, m.orgs[len(m.orgs)-1]))
		must(t, tx.Commit())
	}
	var running []*exec.Cmd
	for n := range writerProcesses {
		running = append(running, m.start(n))
	}
	kills := 0
	for ; kills < *writerKills || m.acknowledged() < int64(*writerEntries); kills++ {
		time.Sleep(*writerPause) //nolint:forbidigo // the writers are other processes: there is no clock to turn
		victim := rand.IntN(writerProcesses)
		must(t, running[victim].Process.Kill())
		_ = running[victim].Wait()
		m.verify()
		running[victim] = m.start(writerProcesses + kills)
	}
	for _, one := range running {
		must(t, one.Process.Kill())
		_ = one.Wait()
	}
	entries, pruned := m.verify()
	t.Logf("%d kills, %d writers, %d logs, %d entries, of which %d were pruned, %d acknowledged",
		kills, writerProcesses*writersEach, writerOrgs, entries, pruned, m.acknowledged())
	if entries < 500 || pruned == 0 {
		t.Errorf("too little was done: %d entries, %d pruned", entries, pruned)
	}
}

func (m *mill) in(org int) context.Context {
	return actor.NewContext(m.t.Context(), actor.System("test").Within(m.orgs[org]))
}

func (m *mill) acknowledged() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.count
}

// start starts a process of writers, and listens to what it says is committed.
func (m *mill) start(seed int) *exec.Cmd {
	m.t.Helper()
	var names []string
	for _, org := range m.orgs {
		names = append(names, org.String())
	}
	process := exec.CommandContext(m.t.Context(), os.Args[0], "-test.run=^TestWriters$", "-test.v")
	process.Env = append(os.Environ(), //nolint:forbidigo // for a process of the test
		"WRITERS="+m.url, "WRITERS_ORGS="+strings.Join(names, " "),
		fmt.Sprint("WRITERS_SEED=", seed))
	out, err := process.StdoutPipe()
	must(m.t, err)
	process.Stderr = m.t.Output()
	must(m.t, process.Start())
	go m.listen(out)
	return process
}

func (m *mill) listen(from io.Reader) {
	for lines := bufio.NewScanner(from); lines.Scan(); {
		name, number, _ := strings.Cut(lines.Text(), " ")
		org, err := typeid.Parse[typeid.Organization](name)
		if err != nil {
			continue // what the test framework says
		}
		var last, count int64
		if _, err := fmt.Sscan(number, &last, &count); err != nil {
			continue // it was cut off
		}
		m.mu.Lock()
		m.acked[org] = max(m.acked[org], last)
		m.count += count
		m.mu.Unlock()
	}
}

// verify exports and verifies every log.
func (m *mill) verify() (entries, pruned int64) {
	m.t.Helper()
	for n, org := range m.orgs {
		m.mu.Lock()
		acked := m.acked[org]
		m.mu.Unlock()
		notary := journal.NewNotary(journal.NotaryConfig{
			DB: m.db, Keys: logKeys(m.t), Log: slog.New(slog.DiscardHandler)})
		from, to := io.Pipe()
		go func() {
			source := transfer.LogSource{DB: m.db, Notary: notary, Organization: org}
			_ = to.CloseWithError(transfer.WriteLog(m.in(n), source, transfer.LogRange{}, to))
		}()
		r, err := extract.Verify(from, extract.Options{Keys: logKeys(m.t).Public(), Previous: m.kept[org]})
		if err != nil {
			m.t.Fatal(err)
		}
		if r.Wrong != nil && r.Header.Checkpoint != "" {
			m.t.Fatalf("a false alarm about %s at %d: %v", org, r.Header.Size, r.Wrong)
		}
		if r.Header.Size < acked || r.Entries+r.Pruned != r.Header.Size {
			m.t.Fatalf("%s: %d was acknowledged; the log has %d of %d, and %d pruned",
				org, acked, r.Entries, r.Header.Size, r.Pruned)
		}
		m.kept[org] = r.Header.Checkpoint
		entries, pruned = entries+r.Header.Size, pruned+r.Pruned
	}
	return entries, pruned
}

// TestWriters is a process of TestKilledWriters: it writes, signs and prunes until it is killed.
func TestWriters(t *testing.T) { //nolint:paralleltest // it is alone in its process
	url := os.Getenv("WRITERS") //nolint:forbidigo // what the test that started it says
	if url == "" {
		t.Skip("is for another test")
	}
	var orgs []typeid.Organization
	names := os.Getenv("WRITERS_ORGS") //nolint:forbidigo // likewise
	for name := range strings.FieldsSeq(names) {
		org, err := typeid.Parse[typeid.Organization](name)
		must(t, err)
		orgs = append(orgs, org)
	}
	db := testenv.OpenClient(t, url)
	quiet := slog.New(slog.DiscardHandler)
	notary := journal.NewNotary(journal.NotaryConfig{DB: db, Keys: logKeys(t), Log: quiet})
	keeper := journal.NewKeeper(journal.KeeperConfig{DB: db, Keys: logKeys(t), Log: quiet,
		Now: func() time.Time { return schema.Now().AddDate(0, 0, 91) }})
	var group sync.WaitGroup
	for n := range writersEach {
		group.Go(func() { writeOn(t, db, orgs, n) })
	}
	for t.Context().Err() == nil {
		for _, org := range orgs {
			_, err := notary.Sign(t.Context(), org)
			must(t, err)
		}
		_, err := keeper.Prune(t.Context())
		must(t, err)
	}
	group.Wait()
}

// writeOn appends to one log after the other, and says what is committed.
func writeOn(t *testing.T, db *ent.Client, orgs []typeid.Organization, n int) {
	t.Helper()
	for t.Context().Err() == nil {
		org := orgs[rand.IntN(len(orgs))]
		ctx := actor.NewContext(t.Context(), actor.System("test").Within(org))
		recorded, err := appendSome(ctx, db, org, 1+rand.IntN(5), n)
		if err != nil {
			t.Error(err)
			return
		}
		last := recorded[len(recorded)-1].Sequence
		fmt.Printf("%s %d %d\n", org, last, len(recorded)) //nolint:forbidigo // to its parent
	}
}

func appendSome(
	ctx context.Context, db *ent.Client, org typeid.Organization, count, by int,
) ([]journal.Event, error) {
	events := make([]journal.Event, count)
	for i := range events {
		events[i] = journal.Event{Type: "site.updated", Site: typeid.New[typeid.Site](),
			Data: json.RawMessage(fmt.Sprintf(`{"changed":["name"],"by":%d}`, by))}
		if i%2 == 0 {
			events[i] = journal.Event{Type: "access.granted", Outcome: event.OutcomeGRANTED}
		}
	}
	tx, err := db.Tx(ctx)
	if err != nil {
		return nil, err
	}
	recorded, err := journal.Append(ctx, tx, org, events...)
	if err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	return recorded, tx.Commit()
}
