package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cardea/cardea/typeid"
)

// PresenceTTL is how long a claim holds without a refresh. Refresh every third of it.
const PresenceTTL = 30 * time.Second

// ErrStaleEpoch says that a newer link of the device exists, or existed a moment ago.
var ErrStaleEpoch = errors.New("a newer link of the device exists")

// Link says which node holds a device's link. Of two links of a device the greater epoch is newer.
type Link struct {
	Organization typeid.Organization
	Device       typeid.Device
	Epoch        int64
	Node         string
}

// A claim is "epoch node". One that was released keeps its epoch without a node until it expires,
// so that an older link, late in its refresh, does not come back to life.
func (l Link) claim() string { return strconv.FormatInt(l.Epoch, 10) + " " + l.Node }

// claimScript takes a device's presence unless a newer link has it.
//
//	KEYS  the device's claim
//	ARGV  the claim, its epoch, its life in milliseconds
var claimScript = redis.NewScript(`
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then
  if tonumber(string.match(held, '^%d+')) >= tonumber(ARGV[2]) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 1
`)

// releaseScript gives a device's presence up if it is still this claim.
//
//	KEYS  the device's claim
//	ARGV  the claim, the claim without its node, its life in milliseconds
var releaseScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
`)

// Claim says that the link's node holds the device, for PresenceTTL. A newer epoch wins; an older
// one, and the epoch of a released claim, is refused with ErrStaleEpoch.
func (s *Stream) Claim(ctx context.Context, l Link) error {
	key := []string{s.linkKey(l.Organization, l.Device)}
	taken, err := claimScript.Run(ctx, s.client, key,
		l.claim(), l.Epoch, PresenceTTL.Milliseconds()).Int()
	if s.observe(ctx, err) != nil {
		return fmt.Errorf("claim presence: %w", err)
	}
	if taken == 0 {
		return ErrStaleEpoch
	}
	return nil
}

// Refresh claims again for PresenceTTL, many links in a round. It brings back what a wiped Redis
// forgot, and passes over links that a newer one has replaced.
func (s *Stream) Refresh(ctx context.Context, links []Link) error {
	if len(links) == 0 {
		return nil
	}
	if err := s.observe(ctx, s.refresh(ctx, links)); err != nil {
		return fmt.Errorf("refresh presence: %w", err)
	}
	return nil
}

func (s *Stream) refresh(ctx context.Context, links []Link) error {
	// In a pipeline nobody can answer "unknown script", so it is loaded first.
	if err := claimScript.Load(ctx, s.client).Err(); err != nil {
		return err
	}
	for some := range slices.Chunk(links, round) {
		_, err := s.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for _, l := range some {
				claimScript.EvalSha(ctx, pipe, []string{s.linkKey(l.Organization, l.Device)},
					l.claim(), l.Epoch, PresenceTTL.Milliseconds())
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Release gives the device's presence up, unless a newer link has taken it.
func (s *Stream) Release(ctx context.Context, l Link) error {
	key := []string{s.linkKey(l.Organization, l.Device)}
	nobody := Link{Epoch: l.Epoch}
	err := releaseScript.Run(ctx, s.client, key,
		l.claim(), nobody.claim(), PresenceTTL.Milliseconds()).Err()
	if s.observe(ctx, err) != nil {
		return fmt.Errorf("release presence: %w", err)
	}
	return nil
}

// Find returns the device's link; false if no node holds one.
func (s *Stream) Find(
	ctx context.Context, org typeid.Organization, device typeid.Device,
) (Link, bool, error) {
	claim, err := s.client.Get(ctx, s.linkKey(org, device)).Result()
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	if s.observe(ctx, err) != nil {
		return Link{}, false, fmt.Errorf("find link: %w", err)
	}
	epoch, node, _ := strings.Cut(claim, " ")
	if node == "" {
		return Link{}, false, nil
	}
	l := Link{Organization: org, Device: device, Node: node}
	if l.Epoch, err = strconv.ParseInt(epoch, 10, 64); err != nil {
		return Link{}, false, fmt.Errorf("find link: %w", err)
	}
	return l, true, nil
}

// look is what Absent remembers from one call to the next.
type look struct {
	wiped time.Time // when presence was found to have been wiped
}

// traceTTL is how long a look's trace stays; an Absent that comes later sees a wipe.
const traceTTL = 24 * time.Hour

// Absent returns those of the links that no node holds; only Organization and Device are looked at.
// A wiped Redis is no proof of absence: after one, nothing is absent for PresenceTTL, in which the
// nodes refresh their claims.
func (s *Stream) Absent(ctx context.Context, links []Link) ([]Link, error) {
	if len(links) == 0 {
		return nil, nil
	}
	// What this call leaves behind, the next one misses if all was wiped in between. It is looked
	// at after the claims: a wipe between the two is noticed.
	trace := s.nodeChannel(s.config.Node) + ":looked"
	claims := make([]*redis.StringCmd, len(links))
	var left *redis.IntCmd
	_, err := s.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i, l := range links {
			claims[i] = pipe.Get(ctx, s.linkKey(l.Organization, l.Device))
		}
		left = pipe.Exists(ctx, trace)
		pipe.Set(ctx, trace, "", traceTTL)
		return nil
	})
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	if s.observe(ctx, err) != nil {
		return nil, fmt.Errorf("find absent devices: %w", err)
	}
	if s.wipedLately(left.Val() > 0) {
		return nil, nil
	}
	var absent []Link
	for i, claim := range claims {
		if _, node, _ := strings.Cut(claim.Val(), " "); node == "" {
			absent = append(absent, links[i])
		}
	}
	return absent, nil
}

// wipedLately remembers when the trace of an earlier look was gone.
func (s *Stream) wipedLately(traced bool) bool {
	before := s.looked.Load()
	now := &look{}
	switch {
	case before == nil: // the first look of this process misses nothing
	case traced:
		now.wiped = before.wiped
	default:
		now.wiped = time.Now()
	}
	s.looked.Store(now)
	return time.Since(now.wiped) < PresenceTTL
}
