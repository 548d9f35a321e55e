package signin

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// What a provider says of itself is kept for a while, and so are its keys: a key that it takes back is
// good for as long. One that is new is asked for when it is first used. So many providers are kept.
const (
	discoveryAge   = 10 * time.Minute
	maxDiscoveries = 200
)

// discoveries are what providers say of themselves, by issuer. Who asks at the same time for what is
// not there asks twice.
type discoveries struct {
	now   func() time.Time
	mu    sync.Mutex
	known map[string]discovery
}

type discovery struct {
	*oidc.Provider
	at time.Time
}

// of asks an issuer, unless that was done lately. What failed is not kept.
func (d *discoveries) of(ctx context.Context, issuer string) (*oidc.Provider, error) {
	now := d.now()
	if kept := d.kept(issuer); kept.Provider != nil && now.Sub(kept.at) < discoveryAge {
		return kept.Provider, nil
	}
	is, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		return nil, err //nolint:wrapcheck // whoever asks says what for
	}
	d.keep(issuer, discovery{is, now})
	return is, nil
}

func (d *discoveries) kept(issuer string) discovery {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.known[issuer]
}

// keep keeps one, in place of the oldest if there are as many as may be.
func (d *discoveries) keep(issuer string, said discovery) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.known, issuer)
	if len(d.known) >= maxDiscoveries {
		byAge := func(a, b string) int { return d.known[a].at.Compare(d.known[b].at) }
		delete(d.known, slices.MinFunc(slices.Collect(maps.Keys(d.known)), byAge))
	}
	d.known[issuer] = said
}

// forget has an issuer asked again: what it said led to nothing.
func (d *discoveries) forget(issuer string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.known, issuer)
}
