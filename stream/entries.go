package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

const (
	pageSize = 256 // events that one read or one relay moves, at most
	round    = 500 // commands that share one round trip, at most
)

// addScript appends events that continue the stream and publishes those that were new, at once. It
// returns the stream's last number: smaller than the batch's if the batch would have left a gap.
//
//	KEYS  the stream
//	ARGV  the channel, the stream's length, begin (1 or 0), quiet (1 or 0), the first number, then
//	      the events
//
// With begin, a stream that ends before the batch starts anew with it. With quiet, only the numbers
// are published, for whoever lacks the events to read them.
var addScript = redis.NewScript(`
local text = function(n) return string.format('%.0f', n) end
local head = 5
local top = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local last = 0
if top[1] then last = tonumber(string.match(top[1][1], '^%d+')) end
local first = tonumber(ARGV[head])
local finish = first + #ARGV - head - 1
if last >= finish then return last end
if last + 1 < first then
  if ARGV[3] ~= '1' then return last end
  redis.call('DEL', KEYS[1])
  last = first - 1
end
local from = last + 1 - first + head + 1
for i = from, #ARGV do
  local id = text(first + i - head - 1) .. '-0'
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], id, 'e', ARGV[i])
end
local message = text(last + 1) .. ' ' .. text(finish)
if ARGV[4] ~= '1' then message = message .. '\n' .. table.concat(ARGV, '\n', from) end
redis.call('PUBLISH', ARGV[1], message)
return finish
`)

// batch is events with contiguous numbers, at most pageSize, on their way to Redis.
type batch struct {
	events []journal.Event
	begin  bool // if the stream ends before them, it starts anew with them
	quiet  bool // publish only their numbers
}

// add appends a batch and returns the last number of the stream. If that is smaller than the
// batch's there is a gap, and nothing was added.
func (s *Stream) add(ctx context.Context, org typeid.Organization, b batch) (int64, error) {
	args := make([]any, 0, len(b.events)+5)
	args = append(args, s.liveChannel(org), s.config.Length, b.begin, b.quiet, b.events[0].Sequence)
	for _, e := range b.events {
		body, err := e.Encode()
		if err != nil {
			return 0, err
		}
		args = append(args, body)
	}
	last, err := addScript.Run(ctx, s.client, []string{s.eventsKey(org)}, args...).Int64()
	if s.observe(ctx, err) != nil {
		return 0, fmt.Errorf("add events to stream: %w", err)
	}
	return last, nil
}

// drop forgets an organization's stream.
func (s *Stream) drop(ctx context.Context, org typeid.Organization) error {
	if err := s.observe(ctx, s.client.Del(ctx, s.eventsKey(org)).Err()); err != nil {
		return fmt.Errorf("drop stream: %w", err)
	}
	return nil
}

// ends returns the last number of each organization's stream, 0 for an empty one.
func (s *Stream) ends(
	ctx context.Context, orgs []typeid.Organization,
) (map[typeid.Organization]int64, error) {
	last := make(map[typeid.Organization]int64, len(orgs))
	for some := range slices.Chunk(orgs, round) {
		asked := make([]*redis.XMessageSliceCmd, len(some))
		_, err := s.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for i, org := range some {
				asked[i] = pipe.XRevRangeN(ctx, s.eventsKey(org), "+", "-", 1)
			}
			return nil
		})
		if s.observe(ctx, err) != nil {
			return nil, fmt.Errorf("read ends of streams: %w", err)
		}
		for i, org := range some {
			last[org] = 0
			for _, entry := range asked[i].Val() {
				last[org] = number(entry.ID)
			}
		}
	}
	return last, nil
}

// errTrimmed says that a stream does not continue a cursor: it was trimmed, wiped or is behind.
var errTrimmed = errors.New("stream does not continue the cursor")

// entries reads up to pageSize events that follow a cursor, at least one. Trimming leaves no trace
// in Redis, so it is the numbers that tell.
func (s *Stream) entries(
	ctx context.Context, org typeid.Organization, after int64,
) ([]*journal.Event, error) {
	from := strconv.FormatInt(after+1, 10)
	found, err := s.client.XRangeN(ctx, s.eventsKey(org), from, "+", pageSize).Result()
	if s.observe(ctx, err) != nil {
		return nil, fmt.Errorf("read stream: %w", err)
	}
	if len(found) == 0 {
		return nil, errTrimmed
	}
	events := make([]*journal.Event, len(found))
	for i, entry := range found {
		body, _ := entry.Values["e"].(string)
		if events[i], err = decode(org, after+1+int64(i), body); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// decode reads an event and holds it to the organization and the number that it must have.
func decode(org typeid.Organization, sequence int64, body string) (*journal.Event, error) {
	e, err := journal.Decode([]byte(body))
	if err != nil {
		return nil, err
	}
	if e.Organization != org || e.Sequence != sequence {
		return nil, errTrimmed
	}
	return &e, nil
}

// number reads the sequence in an entry's identifier, such as 17 in 17-0.
func number(id string) int64 {
	sequence, _, _ := strings.Cut(id, "-")
	n, _ := strconv.ParseInt(sequence, 10, 64)
	return n
}

// message is what an organization's channel carries: the numbers of a batch and, unless it is
// quiet, one line for each event.
type message struct {
	first, last int64
	bodies      string
}

// parse reads a message's numbers and leaves the events for later: whoever has them already need
// not decode them.
func parse(payload string) (message, error) {
	numbers, bodies, _ := strings.Cut(payload, "\n")
	first, last, _ := strings.Cut(numbers, " ")
	m := message{bodies: bodies}
	var err1, err2 error
	m.first, err1 = strconv.ParseInt(first, 10, 64)
	m.last, err2 = strconv.ParseInt(last, 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return message{}, fmt.Errorf("malformed message: %w", err)
	}
	return m, nil
}

// after decodes the message's events that follow a cursor; none if it carries only numbers.
func (m message) after(org typeid.Organization, cursor int64) ([]*journal.Event, error) {
	if m.bodies == "" {
		return nil, nil
	}
	var events []*journal.Event
	sequence := m.first
	for body := range strings.SplitSeq(m.bodies, "\n") {
		if sequence > cursor {
			e, err := decode(org, sequence, body)
			if err != nil {
				return nil, err
			}
			events = append(events, e)
		}
		sequence++
	}
	return events, nil
}
