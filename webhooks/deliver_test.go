package webhooks_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/webhookdelivery"
)

func TestDeliveryIsTheEventSigned(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	to := newReceiver(t, nil)
	endpoint, secret := h.endpoint(to.URL+"/hook?token=x", "site.created")
	h.run(h.config())
	h.event()
	delivery, attempts := h.settled(endpoint, 1)

	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	got, want := to.messages()[0], h.siteEvents()[0]
	if err := verifier.Verify(got.body, got.header); err != nil {
		t.Errorf("the official library refuses it: %v", err)
	}
	if err := verifier.Verify(append(got.body, ' '), got.header); err == nil {
		t.Error("the official library accepts another body")
	}
	canonical, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var body struct{ Data json.RawMessage }
	if err := json.Unmarshal(got.body, &body); err != nil || !bytes.Equal(body.Data, canonical) {
		t.Errorf("data %s, %v; want %s", body.Data, err, canonical)
	}
	if id := got.header.Get("webhook-id"); id != want.ID.String() {
		t.Errorf("webhook-id %s; want %s", id, want.ID)
	}
	if kind := got.header.Get("Content-Type"); kind != "application/json" {
		t.Errorf("content type %s", kind)
	}
	if delivery.State != webhookdelivery.StateDELIVERED || delivery.NextAt != nil ||
		delivery.EndedAt == nil || delivery.LeasedUntil != nil {
		t.Errorf("delivery %+v", delivery)
	}
	if a := attempts[0]; a.Number != 1 || *a.StatusCode != 204 || a.ErrorClass != "" {
		t.Errorf("attempt %+v", a)
	}
}

// TestLogKeepsSecrets delivers to a URL with a token, well and badly, and reads the log.
func TestLogKeepsSecrets(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	good, secret := h.endpoint(newReceiver(t, nil).URL+"/path?token=hunter2", "site.created")
	bad, _ := h.endpoint("http://"+closedPort(t)+"/path?token=hunter2", "site.created")
	var log bytes.Buffer
	cfg := h.config()
	cfg.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	stop := h.run(cfg)
	h.event()
	delivery, _ := h.settled(good, 1)
	h.settled(bad, 1)
	stop()
	if !strings.Contains(log.String(), delivery.ID.String()) {
		t.Errorf("the attempt is not in the log: %s", &log)
	}
	for _, hidden := range []string{"hunter2", "/path", secret[len("whsec_"):]} {
		if strings.Contains(log.String(), hidden) {
			t.Errorf("the log holds %q: %s", hidden, &log)
		}
	}
}

func TestRetriesFollowTheSchedule(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	to := newReceiver(t, status(http.StatusInternalServerError))
	endpoint, secret := h.endpoint(to.URL, "site.created")
	h.run(h.config())
	h.event()
	steps := []time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
		10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}
	for i, step := range steps {
		delivery, attempts := h.settled(endpoint, i+1)
		wait := delivery.NextAt.Sub(attempts[i].StartedAt)
		if wait < step*4/5 || wait > step*6/5+2*time.Second {
			t.Fatalf("attempt %d comes after %s; want %s, or 20%% more or less", i+2, wait, step)
		}
		h.clock.forwardTo(*delivery.NextAt)
	}
	delivery, attempts := h.settled(endpoint, 10)
	if delivery.State != webhookdelivery.StateFAILED || delivery.NextAt != nil {
		t.Errorf("after the schedule: %+v", delivery)
	}
	if a := attempts[9]; *a.StatusCode != 500 || a.ErrorClass != "http_5xx" {
		t.Errorf("attempt %+v", a)
	}
	messages := to.messages()
	for _, m := range messages {
		if m.header.Get("webhook-id") != messages[0].header.Get("webhook-id") ||
			!bytes.Equal(m.body, messages[0].body) {
			t.Error("a retry carries another id or body")
		}
	}
	checkTimestamps(t, secret, messages)
}

// checkTimestamps checks that each attempt was stamped and signed at its own time.
func checkTimestamps(t *testing.T, secret string, messages []message) {
	t.Helper()
	verifier, err := standardwebhooks.NewWebhookRaw(decodeSecret(t, secret))
	if err != nil {
		t.Fatal(err)
	}
	last := int64(0)
	for _, m := range messages {
		if err := verifier.VerifyIgnoringTimestamp(m.body, m.header); err != nil {
			t.Error(err)
		}
		at, err := strconv.ParseInt(m.header.Get("webhook-timestamp"), 10, 64)
		if err != nil || at <= last {
			t.Errorf("timestamp %d after %d, %v", at, last, err)
		}
		last = at
	}
}

func TestRetryAfterIsObeyed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	to := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	endpoint, _ := h.endpoint(to.URL, "site.created")
	h.run(h.config())
	h.event()
	delivery, attempts := h.settled(endpoint, 1)
	if wait := delivery.NextAt.Sub(attempts[0].StartedAt); wait < time.Hour {
		t.Errorf("tries again after %s; was asked for an hour", wait)
	}
	h.clock.forward(59 * time.Minute)
	other, _ := h.endpoint(to.URL+"/other", "site.created")
	h.event() // once this has gone out, the first would have too
	h.eventually("another delivery", func() bool {
		rows := h.deliveries(other)
		return len(rows) == 1 && rows[0].Attempts == 1
	})
	if again := h.deliveries(endpoint)[0]; again.Attempts != 1 {
		t.Errorf("%d attempts before the hour was over", again.Attempts)
	}
}

func TestGoneDisablesTheEndpoint(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	gone, alive := newReceiver(t, status(http.StatusGone)), newReceiver(t, nil)
	endpoint, _ := h.endpoint(gone.URL, "site.created")
	h.endpoint(alive.URL, "site.created")
	h.run(h.config())
	h.event()
	delivery, attempts := h.settled(endpoint, 1)
	if delivery.State != webhookdelivery.StateFAILED || attempts[0].ErrorClass != "http_4xx" {
		t.Errorf("delivery %+v, attempt %+v", delivery, attempts[0])
	}
	now, err := h.db.WebhookEndpoint.Get(h.ctx, endpoint.ID)
	if err != nil || now.Enabled || now.DisabledReason != "answered 410 Gone" {
		t.Errorf("endpoint %+v, %v", now, err)
	}
	h.event()
	h.eventually("the other endpoint's events", func() bool { return len(alive.messages()) == 2 })
	if n := len(gone.messages()); n != 1 {
		t.Errorf("%d requests after 410", n-1)
	}
}

// TestDisabledEndpointRests checks that what is pending waits, and goes on afterwards.
func TestDisabledEndpointRests(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var code atomic.Int64
	code.Store(http.StatusServiceUnavailable)
	to := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(int(code.Load()))
	})
	alive := newReceiver(t, nil)
	endpoint, _ := h.endpoint(to.URL, "site.created")
	h.run(h.config())
	h.event()
	delivery, _ := h.settled(endpoint, 1)
	enable := func(enabled bool) {
		t.Helper()
		_, err := h.access.UpdateWebhookEndpoint(h.ctx,
			access.UpdateWebhookEndpointInput{ID: endpoint.ID, Enabled: &enabled})
		if err != nil {
			t.Fatal(err)
		}
	}
	enable(false)
	code.Store(http.StatusOK)
	h.clock.forwardTo(*delivery.NextAt)
	h.endpoint(alive.URL, "site.created")
	h.event() // not for the disabled endpoint
	h.eventually("the other endpoint's event", func() bool { return len(alive.messages()) == 1 })
	if n := len(to.messages()); n != 1 {
		t.Errorf("%d requests while disabled", n-1)
	}
	enable(true)
	if delivery, _ := h.settled(endpoint, 2); delivery.State != webhookdelivery.StateDELIVERED {
		t.Errorf("delivery %+v", delivery)
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	target := newReceiver(t, nil)
	from := newReceiver(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, target.URL, http.StatusTemporaryRedirect)
	})
	endpoint, _ := h.endpoint(from.URL, "site.created")
	h.run(h.config())
	h.event()
	delivery, attempts := h.settled(endpoint, 1)
	if a := attempts[0]; *a.StatusCode != 307 || a.ErrorClass != "redirect" {
		t.Errorf("attempt %+v", a)
	}
	if delivery.State != webhookdelivery.StatePENDING || len(target.messages()) != 0 {
		t.Errorf("delivery %+v, %d requests to the target", delivery, len(target.messages()))
	}
}

// TestAnswerIsBounded has one receiver that pours and one that drips, for ever.
func TestAnswerIsBounded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var poured atomic.Int64
	endless := func(chunk string, pause time.Duration) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			tick := time.NewTicker(pause)
			defer tick.Stop()
			for r.Context().Err() == nil {
				n, err := w.Write([]byte(chunk))
				if err != nil {
					return
				}
				poured.Add(int64(n))
				w.(http.Flusher).Flush()
				<-tick.C
			}
		}
	}
	pour := newReceiver(t, endless(strings.Repeat("\x00\xffab", 16<<10), time.Microsecond))
	drip := newReceiver(t, endless("x", 10*time.Millisecond))
	fast, _ := h.endpoint(pour.URL, "site.created")
	slow, _ := h.endpoint(drip.URL, "site.created")
	cfg := h.config()
	cfg.Timeouts.Attempt = 2 * time.Second
	h.run(cfg)
	h.event()
	for _, endpoint := range []*ent.WebhookEndpoint{fast, slow} {
		delivery, attempts := h.settled(endpoint, 1)
		a := attempts[0]
		if delivery.State != webhookdelivery.StateDELIVERED || a.DurationMs > 10_000 {
			t.Errorf("delivery %+v, attempt took %d ms", delivery, a.DurationMs)
		}
		if a.ResponseBody == "" || len(a.ResponseBody) > 16<<10 {
			t.Errorf("%d bytes of the answer are kept", len(a.ResponseBody))
		}
	}
	if n := poured.Load(); n > 32<<20 {
		t.Errorf("%d bytes were taken", n)
	}
}

func TestHangingEndpointDelaysNoOther(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const events = 40
	release := make(chan struct{})
	var now, most atomic.Int64
	hanging := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-release
		now.Add(-1)
		w.WriteHeader(http.StatusOK)
	})
	healthy := newReceiver(t, nil)
	slow, _ := h.endpoint(hanging.URL, "site.created")
	h.endpoint(healthy.URL, "site.created")
	h.run(h.config())
	h.run(h.config()) // the bound holds over processes
	for range events {
		h.event()
	}
	h.eventually("the healthy endpoint's events", func() bool {
		return len(healthy.messages()) == events
	})
	h.eventually("a full window", func() bool { return now.Load() == 10 })
	close(release)
	h.eventually("the hanging endpoint's events", func() bool {
		return !slices.ContainsFunc(h.deliveries(slow), func(d *ent.WebhookDelivery) bool {
			return d.State != webhookdelivery.StateDELIVERED
		})
	})
	if len(hanging.messages()) != events || most.Load() > 10 {
		t.Errorf("%d requests, %d at once", len(hanging.messages()), most.Load())
	}
}

// TestLeaseEnds has one process hang in an attempt for longer than its lease. Another takes over
// and fails, and what the first finds out is not recorded, although the delivery is pending still.
func TestLeaseEnds(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	arrived, release := make(chan struct{}, 2), make(chan struct{})
	var requests atomic.Int64
	to := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		if requests.Add(1) == 1 {
			<-release
			return
		}
		w.WriteHeader(http.StatusInternalServerError)
	})
	endpoint, _ := h.endpoint(to.URL, "site.created")
	registry := prometheus.NewRegistry()
	stuck := h.config()
	stuck.Workers, stuck.Registerer = 1, registry
	h.run(stuck)
	h.event()
	<-arrived
	h.run(h.config())
	h.clock.forward(59 * time.Second)
	if d := h.deliveries(endpoint)[0]; !d.LeasedUntil.After(h.clock.now()) {
		t.Fatalf("leased until %s only", d.LeasedUntil)
	}
	h.clock.forward(time.Second)
	<-arrived
	h.settled(endpoint, 1)
	close(release)
	h.eventually("the first one's finish", func() bool {
		return counted(t, registry, "cardea_webhook_attempts_unrecorded_total", "lease_lost") == 1
	})
	delivery, attempts := h.settled(endpoint, 1)
	if delivery.State != webhookdelivery.StatePENDING || *attempts[0].StatusCode != 500 {
		t.Errorf("delivery %+v, attempt %+v", delivery, attempts[0])
	}
}

// counted reads a counter by its only label.
func counted(t *testing.T, registry *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == name && metric.GetLabel()[0].GetValue() == label {
				return metric.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// TestRunEndsAndGivesBack ends a process in the middle of an attempt that takes too long.
func TestRunEndsAndGivesBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	arrived := make(chan struct{}, 2)
	var hang atomic.Bool
	hang.Store(true)
	to := newReceiver(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		if hang.Load() {
			<-r.Context().Done()
		}
		w.WriteHeader(http.StatusOK)
	})
	endpoint, _ := h.endpoint(to.URL, "site.created")
	cfg := h.config()
	cfg.Timeouts.Grace = 50 * time.Millisecond
	stop := h.run(cfg)
	h.event()
	<-arrived
	stop()
	given, attempts := h.settled(endpoint, 0)
	if given.LeasedUntil != nil || given.State != webhookdelivery.StatePENDING || len(attempts) != 0 {
		t.Errorf("delivery %+v, %d attempts", given, len(attempts))
	}
	hang.Store(false)
	h.run(h.config())
	if delivery, _ := h.settled(endpoint, 1); delivery.State != webhookdelivery.StateDELIVERED {
		t.Errorf("delivery %+v", delivery)
	}
}

// TestRunLetsAttemptsEnd ends a process in the middle of an attempt that is answered in time.
func TestRunLetsAttemptsEnd(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	to := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		w.WriteHeader(http.StatusOK)
	})
	endpoint, _ := h.endpoint(to.URL, "site.created")
	stop := h.run(h.config())
	h.event()
	<-arrived
	ended := make(chan struct{})
	go func() { stop(); close(ended) }()
	close(release)
	<-ended
	if delivery, _ := h.settled(endpoint, 1); delivery.State != webhookdelivery.StateDELIVERED {
		t.Errorf("delivery %+v", delivery)
	}
}

// TestStartingAndStopping checks that a process may be stopped at any instant.
func TestStartingAndStopping(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	to := newReceiver(t, nil)
	endpoint, _ := h.endpoint(to.URL, "site.created")
	const rounds = 20
	for range rounds {
		stop := h.run(h.config())
		h.event()
		stop()
	}
	h.run(h.config())
	h.eventually("all deliveries", func() bool {
		rows := h.deliveries(endpoint)
		return len(rows) == rounds && !slices.ContainsFunc(rows, func(d *ent.WebhookDelivery) bool {
			return d.State != webhookdelivery.StateDELIVERED
		})
	})
	if ids := to.ids(); len(ids) != rounds {
		t.Errorf("%d requests for %d events, and no attempt was too slow for the grace", len(ids), rounds)
	}
}
