package signin

import (
	"fmt"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// So many are kept, and the oldest makes room.
func TestDiscoveriesAreBounded(t *testing.T) {
	t.Parallel()
	now := time.Now()
	d := &discoveries{now: time.Now, known: map[string]discovery{}}
	issuer := func(n int) string { return fmt.Sprintf("https://id%d.example.com", n) }
	for n := range maxDiscoveries + 5 {
		d.keep(issuer(n), discovery{&oidc.Provider{}, now.Add(time.Duration(n) * time.Second)})
	}
	d.keep(issuer(7), discovery{&oidc.Provider{}, now.Add(time.Hour)}) // known, so nobody goes
	if len(d.known) != maxDiscoveries || d.kept(issuer(4)).Provider != nil || d.kept(issuer(5)).Provider == nil {
		t.Errorf("%d are kept", len(d.known))
	}
}
