package pool_test

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/pool"
	"github.com/cardea/cardea/ent/rule"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/typeid"
)

// Whom Postgres takes a statement to be for, with and without arguments.
const (
	whom     = `SELECT coalesce(current_setting('cardea.organization', true), '')`
	whomSome = `SELECT coalesce(current_setting('cardea.organization', true), '') WHERE $1`
)

// people are contexts with what Postgres shall be told in each.
type people struct {
	names []string
	ctx   map[string]context.Context
	told  map[string]string
}

func cast(t *testing.T) people {
	t.Helper()
	p := people{ctx: map[string]context.Context{}, told: map[string]string{}}
	for _, name := range []string{"quay", "harbour", "mill"} {
		org := typeid.New[typeid.Organization]()
		id := org.UUID()
		p.names, p.told[name] = append(p.names, name), hex.EncodeToString(id[:])
		p.as(t, name, actor.System("test").Within(org))
	}
	p.names = append(p.names, "nobody", "everywhere")
	p.ctx["nobody"], p.told["nobody"] = t.Context(), hex.EncodeToString(make([]byte, 16))
	p.as(t, "everywhere", actor.System("test"))
	p.told["everywhere"] = hex.EncodeToString(rule.Everywhere[:])
	return p
}

func (p people) as(t *testing.T, name string, who actor.Actor) {
	t.Helper()
	p.ctx[name] = actor.NewContext(t.Context(), who)
}

// asker is a pool or a transaction.
type asker interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func (p people) check(t *testing.T, db asker, name string) {
	t.Helper()
	var plain, prepared string
	err := errors.Join(db.QueryRowContext(p.ctx[name], whom).Scan(&plain),
		db.QueryRowContext(p.ctx[name], whomSome, true).Scan(&prepared))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if plain != p.told[name] || prepared != p.told[name] {
		t.Fatalf("Postgres acts for %s and %s, not for %s, %s", plain, prepared, name, p.told[name])
	}
}

// TestPostgresIsToldForWhom has one connection serve everybody in random order, while statements fail,
// transactions end in every way and callers go away. Each statement is for who sent it.
func TestPostgresIsToldForWhom(t *testing.T) {
	t.Parallel()
	db := open(t)
	p := cast(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	anybody := func() string { return p.names[random.IntN(len(p.names))] }
	mayhem := []func(db asker, name string) error{
		func(db asker, name string) error { p.check(t, db, name); return nil },
		func(db asker, name string) error { // it fails
			_, err := db.ExecContext(p.ctx[name], `SELECT 1 / $1::int`, 0)
			return err
		},
		func(db asker, name string) error { // so does one without arguments
			_, err := db.ExecContext(p.ctx[name], `SELECT FROM nowhere`)
			return err
		},
		func(db asker, name string) error { // its caller goes away before
			ctx, cancel := context.WithCancel(p.ctx[name])
			cancel()
			_, err := db.ExecContext(ctx, `SELECT $1::int`, 1)
			return err
		},
	}
	for range 300 {
		switch random.IntN(3) {
		case 0:
			p.check(t, db, anybody())
		case 1:
			_ = mayhem[random.IntN(len(mayhem))](db, anybody())
		case 2:
			tx, err := db.BeginTx(p.ctx[anybody()], nil)
			if err != nil {
				t.Fatal(err)
			}
			for range random.IntN(4) {
				if err = mayhem[random.IntN(len(mayhem))](tx, anybody()); err != nil {
					break
				}
			}
			if err == nil && random.IntN(2) == 0 {
				err = tx.Commit()
			} else {
				_ = tx.Rollback()
			}
			if err == nil && random.IntN(4) == 0 {
				p.check(t, db, anybody())
			}
		}
	}
}

// A statement that is ended in its middle leaves no doubt about the next one.
func TestNextAfterACancelledStatement(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	db, err := pool.Open(url, 1, pool.FenceAll)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	other, p := testenv.OpenSQL(t, url), cast(t)
	for range 5 {
		pid := number(t, db, `SELECT pg_backend_pid()`)
		ctx, cancel := context.WithCancel(p.ctx["quay"])
		ended := make(chan error)
		go func() {
			_, err := db.ExecContext(ctx, `SELECT pg_sleep($1)`, 20)
			ended <- err
		}()
		for number(t, other, `SELECT count(*) FROM pg_stat_activity WHERE pid = $1
			AND wait_event = 'PgSleep'`, pid) == 0 {
			runtime.Gosched()
		}
		cancel()
		if err := <-ended; err == nil {
			t.Fatal("it ran to its end")
		}
		p.check(t, db, "harbour")
		p.check(t, db, "nobody")
	}
}

// What stays prepared for longer than a transaction could run for another organization.
func TestStatementsAreNotPreparedForLater(t *testing.T) {
	t.Parallel()
	db := open(t)
	p := cast(t)
	early, err := db.PrepareContext(p.ctx["quay"], whomSome)
	if err == nil {
		defer func() { _ = early.Close() }()
		t.Fatal("a statement was prepared")
	}
	tx, err := db.BeginTx(p.ctx["quay"], nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	s, err := tx.PrepareContext(p.ctx["harbour"], whomSome)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	var got string
	if err := s.QueryRowContext(p.ctx["harbour"], true).Scan(&got); err != nil || got != p.told["harbour"] {
		t.Fatalf("%s, %v", got, err)
	}
}

func TestReadsMayGoWithout(t *testing.T) {
	t.Parallel()
	db, err := pool.Open(testenv.Postgres(t), 1, pool.FenceWrites)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	p := cast(t)
	exec(t, db, `CREATE TABLE shelf (whom text)`)
	for _, name := range p.names {
		var got string
		if err := db.QueryRowContext(p.ctx[name], whomSome, true).Scan(&got); err != nil ||
			got != p.told["everywhere"] {
			t.Errorf("a read by %s is for %s, %v", name, got, err)
		}
		tx, err := db.BeginTx(p.ctx[name], nil)
		if err != nil {
			t.Fatal(err)
		}
		p.check(t, tx, name)
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		err = db.QueryRowContext(p.ctx[name],
			`INSERT INTO shelf VALUES (current_setting('cardea.organization')) RETURNING whom`).Scan(&got)
		if err != nil || got != p.told[name] {
			t.Errorf("a write by %s is for %s, %v", name, got, err)
		}
	}
}

func TestRoleThatPassesEveryPolicyIsFound(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	db := testenv.OpenSQL(t, database)
	if err := pool.CheckFence(t.Context(), db); err != nil {
		t.Fatalf("an ordinary role: %v", err)
	}
	administrator := testenv.OpenSQL(t, testenv.Superuser(t, database))
	if err := pool.CheckFence(t.Context(), administrator); !errors.Is(err, pool.ErrUnfenced) {
		t.Errorf("a superuser: %v", err)
	}
}
