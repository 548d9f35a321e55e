package main

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/journal"
)

// monthsOfLog makes months that come, with so many events each: many doors, sites, people and types, of
// which some are rare. An event in ten happened two days before it was recorded.
const monthsOfLog = `
INSERT INTO events (id, org_id, seq, type, occurred_at, received_at, delivery, actor_kind, actor_id,
  site_id, door_id, user_id, outcome, severity, data, leaf_hash)
SELECT (substr(least_uuid(at)::text, 1, 14) || '7' || substr(md5(n::text), 1, 3) || '-8' || substr(md5(n::text), 4, 3)
    || '-' || substr(md5(n::text), 7, 12))::uuid,
  $1, $2::bigint + n, CASE WHEN n % 500 = 0 THEN 'lockdown.activated' WHEN n % 3 = 0 THEN 'access.granted'
    ELSE (ARRAY['access.denied', 'lock.unlocked', 'lock.locked', 'door.opened', 'door.closed'])[1 + n % 5] END,
  at - CASE WHEN n % 10 = 0 THEN interval '2 days' ELSE interval '0' END, at, 'LIVE', 'USER',
  'user_' || n % 400, md5('site' || n % 20)::uuid, md5('door' || n % 300)::uuid, md5('user' || n % 400)::uuid,
  CASE WHEN n % 3 = 0 THEN 'GRANTED' WHEN n % 97 = 0 THEN 'DENIED' END,
  CASE WHEN n % 500 = 0 THEN 'CRITICAL' ELSE 'INFO' END, '{}', decode(repeat('00', 32), 'hex')
FROM (SELECT n, $3::timestamptz + n * interval '9 minutes' AS at FROM generate_series(1, $4::int) AS n) AS each`

// TestAuditLogReadsByIndexes has Postgres run the very statements of auditLog over nine months of events,
// as an ordinary role behind row-level security: each filter by its index, and never a month whole. An
// instant without its end is not among them: docs/adr/0028.
func TestAuditLogReadsByIndexes(t *testing.T) {
	t.Parallel()
	size := bulkSize{organizations: 1, sites: 20, doors: 100, users: 100, keys: 100, events: 100}
	e := loadEstate(t, size)
	const months, each = 9, 4500
	begin := time.Now().UTC()
	begin = time.Date(begin.Year(), begin.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	keeper := journal.NewKeeper(journal.KeeperConfig{DB: e.client, Log: testenv.Logger(t)})
	if err := keeper.MakeMonths(t.Context(), months); err != nil {
		t.Fatal(err)
	}
	ctx := actor.NewContext(t.Context(), actor.System("test"))
	do := func(statement string, args ...any) {
		t.Helper()
		if _, err := e.recorder.db.ExecContext(ctx, statement, args...); err != nil {
			t.Fatal(err)
		}
	}
	for n := range months {
		do(monthsOfLog, e.admin.Organization, 100+n*each, begin.AddDate(0, n, 0), each)
	}
	do(`UPDATE journal_heads SET seq = $1`, 100+months*each)
	do(`VACUUM ANALYZE events`)
	in := actor.NewContext(t.Context(), actor.System("test").Within(e.admin.Organization))
	some := e.client.Event.Query().Where(event.Seq(1007)).OnlyX(in)
	other := e.client.Event.Query().Where(event.Seq(1009)).OnlyX(in)
	door, site, person := some.DoorID.String(), some.SiteID.String(), some.UserID.String()
	day := begin.AddDate(0, 4, 10)
	between := func(from, to time.Time) string {
		return fmt.Sprintf(`from: %q, to: %q`, from.Format(time.RFC3339), to.Format(time.RFC3339))
	}
	for name, filter := range map[string]string{
		"none":         ``,
		"an actor":     `actorIds: ["user_7"]`,
		"a door":       `doorIds: ["` + door + `"]`,
		"doors":        `doorIds: ["` + door + `", "` + other.DoorID.String() + `"]`,
		"a person":     `userIds: ["` + person + `"]`,
		"a site":       `siteIds: ["` + site + `"]`,
		"a type":       `types: ["access.granted"]`,
		"a rare type":  `types: ["lockdown.activated"]`,
		"granted":      `outcome: GRANTED`,
		"denied":       `outcome: DENIED`,
		"critical":     `severity: CRITICAL`,
		"a day":        between(day, day.AddDate(0, 0, 1)),
		"a door's day": `doorIds: ["` + door + `"], ` + between(day, day.AddDate(0, 0, 1)),
	} {
		e.recorder.sent, e.recorder.on = nil, true
		e.ask(t, `{ auditLog(filter: {`+filter+`}) { nodes { id } pageInfo { hasNextPage } } }`, 0)
		e.recorder.on = false
		found := false
		for _, s := range e.recorder.sent {
			if !regexp.MustCompile(`FROM "events"`).MatchString(s.query) {
				continue
			}
			found = true
			e.readsLittle(t, name, s)
		}
		if !found {
			t.Errorf("%s: no statement reads events", name)
		}
	}
}

var (
	scanOfAMonth = regexp.MustCompile(`Seq Scan on events_20`)
	removed      = regexp.MustCompile(`Rows Removed by Filter: (\d+)`)
)

// readsLittle has Postgres run a statement, as the actor, and sees how much it reads for nothing.
func (e *estate) readsLittle(t *testing.T, name string, s statement) {
	t.Helper()
	by := actor.NewContext(t.Context(), e.admin)
	plan := e.recorder.explain(by, t, "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) ", s)
	wasted := 0
	for _, found := range removed.FindAllStringSubmatch(plan, -1) {
		n, _ := strconv.Atoi(found[1])
		wasted += n
	}
	took := regexp.MustCompile(`Execution Time: .*`).FindString(plan)
	t.Logf("%-14s read %d rows for nothing; %s", name, wasted, took)
	if scanOfAMonth.MatchString(plan) || wasted > 2000 {
		t.Errorf("%s: %d rows were read for nothing\n%s\n%.6000s", name, wasted, s.query, plan)
	}
}
