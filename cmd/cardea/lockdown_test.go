package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/cardea/cardea/internal/testenv"
)

// exhaust holds every connection of the node's pool: a table is locked that nothing reads but these
// requests. They go on when it returns what lets them.
func (s *stage) exhaust(url string, size int) (release func()) {
	s.t.Helper()
	db := testenv.OpenSQL(s.t, s.env["CARDEA_DATABASE_URL"])
	tx, err := db.BeginTx(s.t.Context(), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := tx.Exec("LOCK TABLE holiday_calendars"); err != nil {
		s.t.Fatal(err)
	}
	var waiting sync.WaitGroup
	for range size {
		waiting.Go(func() {
			answer, err := s.post(context.Background(), url, "{ holidayCalendars { nodes { id } } }")
			if err != nil {
				s.t.Error(err)
				return
			}
			_ = answer.Body.Close()
		})
	}
	for held := 0; held < size; {
		err := db.QueryRow(`SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
			WHERE c.relname = 'holiday_calendars' AND NOT l.granted
			AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`).Scan(&held)
		if err != nil {
			s.t.Fatal(err)
		}
	}
	return func() {
		if err := tx.Rollback(); err != nil {
			s.t.Error(err)
		}
		waiting.Wait()
	}
}

// TestLockdownWhileThePoolIsExhausted: the whole program, over HTTP with a token, and a device that is
// linked to it.
func TestLockdownWhileThePoolIsExhausted(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.env["CARDEA_DATABASE_POOL"], s.env["CARDEA_DATABASE_RESERVE"] = "3", "2"
	url := s.serve("api,link,worker")
	door := s.door(url)
	var site struct {
		Door struct{ Site struct{ ID string } }
	}
	s.ask(url, fmt.Sprintf(`{ door(id: %q) { site { id } } }`, door), &site)
	var plan struct {
		CreateLockdownPlan struct{ LockdownPlan struct{ ID string } }
	}
	s.ask(url, fmt.Sprintf(`mutation { createLockdownPlan(input: {name: "All", siteIds: [%q]}) {
		lockdownPlan { id } } }`, site.Door.Site.ID), &plan)

	release := s.exhaust(url, 3)
	defer release()
	short, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if answer, err := s.post(short, url, `{ doors(first: 1) { nodes { id } } }`); err == nil {
		_ = answer.Body.Close()
		t.Fatal("the pool is not exhausted")
	}
	ready, err := http.Get(url + "/readyz")
	if err != nil || ready.StatusCode != http.StatusOK {
		t.Errorf("ready: %v %v", ready, err)
	}

	began := time.Now()
	var made struct {
		TriggerLockdown struct {
			Lockdown struct {
				ID, State    string
				DoorsApplied int
			}
		}
	}
	s.ask(url, fmt.Sprintf(`mutation { triggerLockdown(input: {planId: %q}) {
		lockdown { id state doorsApplied } } }`, plan.CreateLockdownPlan.LockdownPlan.ID), &made)
	if l := made.TriggerLockdown.Lockdown; l.State != "ACTIVE" || l.DoorsApplied == 0 {
		t.Errorf("the lockdown is %+v", l)
	}
	var released struct {
		ReleaseLockdown struct{ Lockdown struct{ State string } }
	}
	s.ask(url, fmt.Sprintf(`mutation { releaseLockdown(input: {lockdownId: %q}) { lockdown { state } } }`,
		made.TriggerLockdown.Lockdown.ID), &released)
	if got := released.ReleaseLockdown.Lockdown.State; got != "RELEASED" {
		t.Errorf("then it is %s", got)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}
