package graph_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/cardea/cardea/graph"
	"github.com/cardea/cardea/stream"
)

// metered counts what is asked for. Rates are so low that none is earned while a test lasts.
func metered(t *testing.T, user, organization int) option {
	t.Helper()
	return func(c *graph.Config, _ *stream.HubConfig) {
		c.Meter = stream.NewMeter(c.Stream)
		c.Rates = graph.Rates{
			Token: stream.Rate{PerSecond: 1, Burst: user}, User: stream.Rate{PerSecond: 1, Burst: user},
			Organization: stream.Rate{PerSecond: 1, Burst: organization},
		}
		ctx, cancel := context.WithCancel(context.Background())
		stopped := make(chan error, 1)
		go func() { stopped <- c.Meter.Run(ctx) }()
		t.Cleanup(func() { cancel(); <-stopped })
	}
}

// Whoever asks for too much is told so, and when to come back, over every transport.
func TestRates(t *testing.T) {
	t.Parallel()
	w := setup(t, metered(t, 1000, 100_000))
	const costly = `{ doors(first: 100) { nodes { keys(first: 24) { nodes { user { id } } } } } }` // 4,900
	first := w.ask(w.admin, costly).ok()
	equal(t, first.header.Get("RateLimit-Policy"), `"user";q=1000;w=1000`)
	left := func(a answer) int {
		_, text, _ := strings.Cut(a.header.Get("RateLimit"), ";r=")
		text, _, _ = strings.Cut(text, ";")
		n, err := strconv.Atoi(text)
		must(t, err)
		return n
	}
	if n := left(first); n < 951 || n > 960 { // 49 points, and what was earned meanwhile
		t.Errorf("%d points are left", n)
	}
	if n := left(w.ask(w.admin, `{ nothing }`)); n < 950 || n > 965 {
		t.Errorf("%d points are left after what was refused", n)
	}
	var last answer
	for range 40 {
		if last = w.ask(w.admin, costly); last.status != http.StatusOK {
			break
		}
	}
	last.refused("RATE_LIMITED")
	equal(t, last.status, http.StatusTooManyRequests)
	if wait, err := strconv.Atoi(last.header.Get("Retry-After")); err != nil || wait < 1 || wait > 60 {
		t.Errorf("Retry-After %q", last.header.Get("Retry-After"))
	}
	events := w.post(w.admin, `{"query": "`+costly+`"}`, "Accept", "text/event-stream")
	equal(t, events.status, http.StatusTooManyRequests)
	c := w.connectAs(w.admin)
	c.start("q", costly)
	equal(t, c.failed("q"), "RATE_LIMITED")
	w.ask(w.member, `{ viewer { role } }`).ok() // others are not held up
	w.ask(w.stranger, `{ viewer { role } }`).ok()
}

// All of an organization have one rate together, and no part in another's.
func TestRateOfAnOrganization(t *testing.T) {
	t.Parallel()
	w := setup(t, metered(t, 1000, 20))
	for range 60 {
		w.ask(w.admin, `{ __typename }`)
	}
	a := w.ask(w.member, `{ __typename __typename }`)
	if a.status == http.StatusOK { // a point was earned
		a = w.ask(w.member, `{ __typename __typename }`)
	}
	a.refused("RATE_LIMITED")
	if !strings.Contains(a.Errors[0].Message, "this organization") {
		t.Errorf("told %q", a.Errors[0].Message)
	}
	w.ask(w.stranger, `{ __typename }`).ok()
}
