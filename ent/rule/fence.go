package rule

import (
	"bytes"
	"context"

	"github.com/cardea/cardea/actor"
)

// Fence is for whom Postgres lets a statement reach rows: an organization's UUID, Everywhere, or the
// zero value for nobody.
type Fence [16]byte

// Everywhere is the fence of a system actor over all organizations: the greatest UUID, which is no
// organization's.
var Everywhere = Fence(bytes.Repeat([]byte{0xff}, len(Fence{})))

// FenceOf is the fence of the context's actor. Nobody but a system actor that was not narrowed to an
// organization gets Everywhere, whatever else the actor says.
func FenceOf(ctx context.Context) Fence {
	a, ok := actor.FromContext(ctx)
	switch {
	case !ok:
		return Fence{}
	case a.Everywhere():
		return Everywhere
	}
	return a.Organization.UUID()
}
