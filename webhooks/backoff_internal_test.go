package webhooks

import (
	"net/http"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestScheduleIsTenAttemptsInThreeDays(t *testing.T) {
	t.Parallel()
	var total time.Duration
	attempts := 1
	for {
		wait, again := backoff(attempts, 0, 0)
		if !again {
			break
		}
		total += wait
		attempts++
	}
	if want := 75*time.Hour + 35*time.Minute + 5*time.Second; attempts != 10 || total != want {
		t.Errorf("%d attempts in %s; want 10 in %s", attempts, total, want)
	}
}

func TestBackoffStaysNearItsStep(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		failed := rapid.IntRange(1, len(schedule)).Draw(t, "failed")
		chance := rapid.Float64Range(-1, 1).Draw(t, "chance")
		asked := time.Duration(rapid.Int64Range(0, int64(72*time.Hour)).Draw(t, "asked"))
		step := schedule[failed-1]
		if wait, _ := backoff(failed, 0, chance); wait < step*4/5 || wait > step*6/5 {
			t.Fatalf("attempt %d waits %s, too far from %s", failed, wait, step)
		}
		wait, again := backoff(failed, asked, chance)
		if !again || wait < min(asked, maxRetryAfter) || wait > max(step*6/5, maxRetryAfter) {
			t.Fatalf("attempt %d waits %s when asked for %s", failed, wait, asked)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"":                              0,
		"120":                           2 * time.Minute,
		"0":                             0,
		"-5":                            0,
		"1.5":                           0,
		"soon":                          0,
		"99999999999999999999":          0,
		"4294967295":                    4294967295 * time.Second,
		"Sun, 29 Mar 2026 01:10:00 GMT": 10 * time.Minute,
		"Sun, 29 Mar 2026 00:10:00 GMT": 0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("%q is %s; want %s", text, got, want)
		}
	}
}
