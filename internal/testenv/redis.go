package testenv

import (
	"crypto/rand"
	"strings"
	"testing"
)

// Redis returns the URL of the shared Redis and a prefix for this test's keys and channels. Nothing
// removes the keys: the private Redis forgets them when it stops.
func Redis(tb testing.TB) (redisURL, namespace string) {
	tb.Helper()
	return require(tb, "CARDEA_REDIS_URL"), "test-" + strings.ToLower(rand.Text()[:12]) + ":"
}
