package graph

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strings"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/stream"
)

// Rates are how much may be asked for, in points: an operation takes one for each costPerPoint of its
// cost, and one at least, even if it is refused.
type Rates struct {
	Token, User, Organization stream.Rate
}

const costPerPoint = 100

func pointsOf(cost int) int { return max(1, (cost+costPerPoint-1)/costPerPoint) }

// charge takes points from whoever asks. The request has the balance from then on.
func (h *Handler) charge(ctx context.Context, r *request, points int) *gqlerror.Error {
	by, known := actor.FromContext(ctx)
	if h.config.Meter == nil || !known || points == 0 {
		return nil
	}
	var ok bool
	if r.balance, ok = h.config.Meter.Spend(points, h.purses(by)...); ok {
		return nil
	}
	return refusal(access.CodeRateLimited, fmt.Sprintf(
		"too much was asked for by this %s: wait %d s", kindOf(r.balance.Of), waits(r.balance)))
}

func (h *Handler) purses(by actor.Actor) []stream.Purse {
	rates := h.config.Rates
	purses := []stream.Purse{
		{Organization: by.Organization, Of: "organization", Rate: rates.Organization},
		{Organization: by.Organization, Of: by.User.String(), Rate: rates.User},
	}
	if !by.Token.IsZero() {
		purses = append(purses,
			stream.Purse{Organization: by.Organization, Of: by.Token.String(), Rate: rates.Token})
	}
	return purses
}

// kindOf is whose a purse is, without saying who that is.
func kindOf(of string) string {
	kind, _, _ := strings.Cut(of, "_")
	return kind
}

func waits(b stream.Balance) int { return int(math.Ceil(max(b.Wait.Seconds(), 1))) }

// tellBalance writes what is left, as the IETF's draft of RateLimit fields has it.
func tellBalance(header http.Header, b stream.Balance) {
	if b.Of == "" {
		return
	}
	kind := kindOf(b.Of)
	header.Set("RateLimit-Policy", fmt.Sprintf("%q;q=%d;w=%d", kind, b.Rate.Burst, b.Rate.Burst/b.Rate.PerSecond))
	header.Set("RateLimit", fmt.Sprintf("%q;r=%d;t=%d", kind, b.Left, int(math.Ceil(b.Full.Seconds()))))
}

// tooFast is how HTTP says that somebody has asked for too much.
func tooFast(r *request, faults gqlerror.List) *refused {
	if r.balance.Wait == 0 {
		return nil
	}
	return &refused{
		status: http.StatusTooManyRequests, retry: waits(r.balance),
		fault: access.Error{Code: access.CodeRateLimited, Message: faults[0].Message},
	}
}
