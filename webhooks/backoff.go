package webhooks

import (
	"net/http"
	"strconv"
	"time"
)

// schedule is how long to wait after the first failed attempt, the second, and so on: ten attempts
// in about 76 hours, the example of Standard Webhooks 1.0.0.
var schedule = [...]time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
	10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

const (
	spread        = 0.2            // of each step, either way, so that failures do not return as one
	maxRetryAfter = 24 * time.Hour // a receiver may ask for no more
)

// backoff says how long to wait after so many failed attempts, or that there is none left. Chance
// is from -1 to 1. The wait is never shorter than what the receiver asked for.
func backoff(failed int, asked time.Duration, chance float64) (wait time.Duration, again bool) {
	if failed > len(schedule) {
		return 0, false
	}
	step := schedule[failed-1]
	wait = step + time.Duration(float64(step)*spread*chance)
	return max(wait, min(asked, maxRetryAfter)), true
}

// retryAfter reads a Retry-After header, in seconds or as a date; 0 if there is none in the future.
func retryAfter(header http.Header, now time.Time) time.Duration {
	text := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
