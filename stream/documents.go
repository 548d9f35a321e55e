package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cardea/cardea/typeid"
)

// What an organization's clients have registered: documents by their hashes, so that they need not
// send them again. It is a cache, and bounded for each organization: in two generations, of which the
// older is dropped whole.
const (
	documentBytes = 1 << 20
	documentLife  = 7 * 24 * time.Hour // after the last of a generation was registered
)

// keepScript keeps a document.
//
//	KEYS  the young documents, the old ones
//	ARGV  the hash, the text, the bytes of a generation, its life in milliseconds
var keepScript = redis.NewScript(`
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return 0 end
local bytes = tonumber(redis.call('HGET', KEYS[1], 'bytes') or '0')
if bytes > 0 and bytes + #ARGV[2] > tonumber(ARGV[3]) then
  redis.call('RENAME', KEYS[1], KEYS[2])
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('HINCRBY', KEYS[1], 'bytes', #ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
`)

func (s *Stream) documentKeys(org typeid.Organization) []string {
	return []string{s.within(org, "documents"), s.within(org, "documents:old")}
}

// KeepDocument keeps a text for every node, for as long as there is room for it.
func (s *Stream) KeepDocument(
	ctx context.Context, org typeid.Organization, hash, text string,
) error {
	err := keepScript.Run(ctx, s.client, s.documentKeys(org),
		hash, text, documentBytes/2, documentLife.Milliseconds()).Err()
	if s.observe(ctx, err) != nil {
		return fmt.Errorf("keep document: %w", err)
	}
	return nil
}

// Document returns a text that one of the organization's clients has registered; "" if none has, or
// too long ago. One that is asked for is kept on.
func (s *Stream) Document(
	ctx context.Context, org typeid.Organization, hash string,
) (string, error) {
	keys := s.documentKeys(org)
	for i, key := range keys {
		text, err := s.client.HGet(ctx, key, hash).Result()
		switch {
		case s.observe(ctx, err) != nil && !errors.Is(err, redis.Nil):
			return "", fmt.Errorf("read document: %w", err)
		case err == nil && i > 0:
			return text, s.KeepDocument(ctx, org, hash, text)
		case err == nil:
			return text, nil
		}
	}
	return "", nil
}
