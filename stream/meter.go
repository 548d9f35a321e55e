package stream

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cardea/cardea/typeid"
)

// Rate is how much may be spent: so many points a second and, by whoever has saved them up, so many
// at once.
type Rate struct{ PerSecond, Burst int }

// window is how long it takes to save up a burst.
func (r Rate) window() time.Duration { return r.takes(r.Burst) }

func (r Rate) takes(points int) time.Duration {
	return time.Duration(points) * time.Second / time.Duration(r.PerSecond)
}

// Purse is what points are spent from, of somebody in an organization.
type Purse struct {
	Organization typeid.Organization
	Of           string
	Rate         Rate
}

// Balance is what is left in the purse that has least.
type Balance struct {
	Purse
	Left int           // points
	Full time.Duration // until it has its burst again
	Wait time.Duration // how long to wait, if it has too little; else 0
}

// Meter counts over all nodes what is spent, by the generic cell rate algorithm: of a purse it keeps how
// far the time by which all that was spent has been earned lies ahead. It decides by what it knows and
// tells Redis afterwards, so that nobody waits for Redis:
//
//   - Everything that is spent counts on every node within some 50 ms. What several nodes let through
//     in that time beyond the rate is owed, and earned before there is more: the rate holds in the long
//     run, whatever their number; a burst may be spent once on each.
//   - Without Redis each node goes on with half the rate, and half the burst.
//   - Time is that of Redis, and only differences of it leave it. When its clock steps, somebody may
//     spend a burst too early, or wait a minute for one; not longer.
type Meter struct {
	stream *Stream
	now    func() time.Time

	mu     sync.Mutex
	purses map[Purse]*purse
	spent  map[Purse]*purse // of which Redis is to be told
	told   chan struct{}    // something was spent
}

// purse is what this node knows of one.
type purse struct {
	ahead  time.Duration // at the instant at
	at     time.Time
	unsent int
}

// NewMeter returns a meter on a stream. Run has to run for nodes to know of each other.
func NewMeter(s *Stream) *Meter {
	return &Meter{
		stream: s, now: time.Now, told: make(chan struct{}, 1),
		purses: map[Purse]*purse{}, spent: map[Purse]*purse{},
	}
}

// Spend takes points from all of some purses, or from none if one has too little. More than a burst is
// taken as a burst: else it could never be spent.
func (m *Meter) Spend(points int, purses ...Purse) (least Balance, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	for i, p := range purses {
		b := m.balance(p, points, now)
		if i == 0 || b.Wait > least.Wait || b.Wait == least.Wait && b.Left < least.Left {
			least = b
		}
	}
	if least.Wait > 0 {
		return least, false
	}
	for _, p := range purses {
		m.take(p, min(points, p.Rate.Burst), now)
	}
	return least, true
}

// balance is what a purse would have after points were taken.
func (m *Meter) balance(p Purse, points int, now time.Time) Balance {
	rate, ahead := m.rate(p), time.Duration(0)
	if known := m.purses[p]; known != nil {
		ahead = max(known.ahead-now.Sub(known.at), 0)
	}
	after := ahead + rate.takes(min(points, rate.Burst))
	if late := after - rate.window(); late > 0 {
		return Balance{Purse: p, Full: ahead, Wait: late}
	}
	left := (rate.window() - after).Seconds() * float64(rate.PerSecond)
	return Balance{Purse: p, Left: int(left), Full: after}
}

// rate is half of what it should be while this node cannot know what the others let through.
func (m *Meter) rate(p Purse) Rate {
	if m.stream.redis.failed.Load() {
		return Rate{PerSecond: max(p.Rate.PerSecond/2, 1), Burst: max(p.Rate.Burst/2, 1)}
	}
	return p.Rate
}

func (m *Meter) take(p Purse, points int, now time.Time) {
	known := m.purses[p]
	if known == nil {
		known = &purse{at: now}
		m.purses[p] = known
	}
	known.ahead = max(known.ahead-now.Sub(known.at), 0) + m.rate(p).takes(points)
	known.at = now
	known.unsent += points
	m.spent[p] = known
	select {
	case m.told <- struct{}{}:
	default:
	}
}

const (
	meterPace   = 25 * time.Millisecond // between two rounds
	meterMemory = time.Minute           // how often purses that are full are forgotten
	mostOwed    = time.Minute           // unless it takes longer to save up a burst
)

// Run tells Redis what was spent, and learns what other nodes have, until ctx ends.
func (m *Meter) Run(ctx context.Context) error {
	forget := time.NewTicker(meterMemory)
	defer forget.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-forget.C:
			m.forget()
			continue
		case <-m.told:
		}
		m.share(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(meterPace):
		}
	}
}

func (m *Meter) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	for p, known := range m.purses {
		if now.Sub(known.at) > known.ahead {
			delete(m.purses, p)
		}
	}
}

// spendScript adds to what was spent from a purse, and returns in microseconds how far that is ahead. A
// clock that was put back would leave it ahead by as much, so there is a most that is owed.
//
//	KEYS  the purse
//	ARGV  what is spent, and the most that is owed, in microseconds of the rate
var spendScript = redis.NewScript(`
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local until_ = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local ahead = math.min(until_ - now + tonumber(ARGV[1]), tonumber(ARGV[2]))
redis.call('SET', KEYS[1], string.format('%.0f', now + ahead), 'PX', math.floor(ahead / 1000) + 1000)
return string.format('%.0f', ahead)
`)

// share is one round trip for all purses.
func (m *Meter) share(ctx context.Context) {
	purses, points := m.unsent()
	if len(purses) == 0 {
		return
	}
	ahead, err := m.stream.spend(ctx, purses, points)
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	for i, p := range purses {
		known := m.purses[p]
		if known == nil {
			continue
		}
		if err != nil { // told in the next round, if anybody asks again
			known.unsent = min(known.unsent+points[i], p.Rate.Burst)
			continue
		}
		known.ahead, known.at = ahead[i]+p.Rate.takes(known.unsent), now
	}
}

func (m *Meter) unsent() (purses []Purse, points []int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p, known := range m.spent {
		purses, points = append(purses, p), append(points, known.unsent)
		known.unsent = 0
	}
	clear(m.spent)
	return purses, points
}

func (s *Stream) spend(
	ctx context.Context, purses []Purse, points []int,
) (ahead []time.Duration, err error) {
	if err := s.observe(ctx, spendScript.Load(ctx, s.client).Err()); err != nil {
		return nil, err
	}
	told, err := s.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i, p := range purses {
			spendScript.EvalSha(ctx, pipe, []string{s.within(p.Organization, "spent:"+p.Of)},
				p.Rate.takes(points[i]).Microseconds(), max(p.Rate.window(), mostOwed).Microseconds())
		}
		return nil
	})
	if s.observe(ctx, err) != nil {
		return nil, err
	}
	for _, one := range told {
		us, err := one.(*redis.Cmd).Int64()
		if err != nil {
			return nil, err
		}
		ahead = append(ahead, time.Duration(us)*time.Microsecond)
	}
	return ahead, nil
}
