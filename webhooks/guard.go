package webhooks

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/cardea/cardea/access"
)

const (
	maxResponseHeader = 16 << 10
	idleConnections   = 500
	// idleTimeout is below the five seconds after which common servers close a silent connection,
	// so that an attempt seldom meets one that is just closing.
	idleTimeout = 3 * time.Second
)

// blockedError says that an attempt was about to reach an address that it must not.
type blockedError struct{ cause error }

func (e blockedError) Error() string { return "blocked address: " + e.cause.Error() }
func (e blockedError) Unwrap() error { return e.cause }

// newClient returns a client that reaches only what access.CheckWebhookAddress allows. The decision
// falls on the very address that the socket is about to connect to, after any resolving, so a name
// that changes its meaning between a check and its use gains nothing. Proxies of the environment
// are ignored, for they would dial in its place, and redirects are not followed.
func newClient(cfg Config) *http.Client {
	dialer := net.Dialer{
		Timeout:        cfg.Timeouts.Dial,
		Resolver:       cfg.Resolver,
		ControlContext: guard(cfg.AllowInside),
	}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    cfg.Timeouts.TLS,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.Roots},
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxResponseHeader,
			MaxIdleConns:           idleConnections,
			MaxIdleConnsPerHost:    window,
			IdleConnTimeout:        idleTimeout,
		},
	}
}

func guard(inside bool) func(context.Context, string, string, syscall.RawConn) error {
	return func(_ context.Context, _, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return blockedError{fmt.Errorf("parse address: %w", err)}
		}
		if err := access.CheckWebhookAddress(to.Addr(), inside); err != nil {
			return blockedError{err}
		}
		return nil
	}
}
