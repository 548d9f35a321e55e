// Package testenv gives each test real servers of its own: a fresh migrated database and a Redis
// namespace, on the Postgres and Redis that CARDEA_DATABASE_URL and CARDEA_REDIS_URL name. `make
// test` sets both; so does
//
//	go run ./internal/localservices/with -- go test ./stream/...
//
// It guarantees:
//   - Tests do not see each other, within a process or between processes, so all may be parallel.
//   - The migrations run once for each version of them, into a template database; a test gets a
//     clone of it, in some hundredths of a second.
//   - The clone of a failed test stays for a day, and the test's log says how to open it.
//   - Missing servers fail a test and never skip it.
//
// The package imports ent with its pool and migrations, and lib/pq. Only tests may import it.
package testenv

import (
	"os"
	"strings"
	"testing"
)

// require returns an environment variable, or ends the test with the command to run instead.
func require(tb testing.TB, variable string) string {
	tb.Helper()
	value := os.Getenv(variable)
	if value == "" {
		name, _, _ := strings.Cut(tb.Name(), "/")
		tb.Fatalf("%s is not set. Run `make test`, or from the root of the repository:\n"+
			"go run ./internal/localservices/with -- go test -run '^%s$' ./...", variable, name)
	}
	return value
}
