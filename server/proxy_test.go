package server_test

import (
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/cardea/cardea/server"
)

// What proxies of ours say of whom they speak for is believed, as far as they speak for each other.
func TestProxies(t *testing.T) {
	t.Parallel()
	from := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.RemoteAddr)
	})
	ours := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	behind := start(t, server.Config{Proxies: ours, Routes: server.Routes{GraphQL: from}})
	open := start(t, server.Config{Routes: server.Routes{GraphQL: from}})
	for passed, want := range map[string]string{
		"192.0.2.7":                     "192.0.2.7:0",
		"198.51.100.1, 192.0.2.7":       "192.0.2.7:0", // the first is what somebody wrote
		"192.0.2.7,10.1.2.3":            "192.0.2.7:0",
		"2001:db8::1":                   "[2001:db8::1]:0",
		"":                              "127.0.0.1:0",
		"x":                             "127.0.0.1:0",
		"192.0.2.7, x":                  "127.0.0.1:0",
		strings.Repeat("10.0.0.1, ", 9): "127.0.0.1:0",
		"10.0.0.2, 10.0.0.1":            "10.0.0.2:0",
	} {
		if _, got := behind.get(t, "/graphql", "X-Forwarded-For", passed); got != want {
			t.Errorf("%q: from %s, want %s", passed, got, want)
		}
		if _, got := open.get(t, "/graphql", "X-Forwarded-For", passed); !strings.HasPrefix(got, "127.0.0.1:") {
			t.Errorf("%q: believed without a proxy: %s", passed, got)
		}
	}
}
