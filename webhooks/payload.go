package webhooks

import (
	"fmt"

	"github.com/cardea/cardea/journal"
)

// instant writes times as events do, in UTC with six decimals.
const instant = "2006-01-02T15:04:05.000000Z"

// encode returns the body for an event: type, timestamp (when it happened) and data. Data is the
// event's canonical form, byte for byte as its leaf hash covers it, so identifiers and sequence are
// those of the audit log, the live stream and exports. The body is the same on every attempt.
// journal.MaxData bounds what an event carries, and so keeps the body below 20 KB.
func encode(e journal.Event) ([]byte, error) {
	data, err := e.Encode()
	if err != nil {
		return nil, fmt.Errorf("encode webhook: %w", err)
	}
	return fmt.Appendf(nil, `{"type":%q,"timestamp":%q,"data":%s}`,
		e.Type, e.OccurredAt.UTC().Format(instant), data), nil
}
