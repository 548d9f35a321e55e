package pool

import (
	"database/sql"
	"time"
)

// OpenSilent is Open with another silence.
func OpenSilent(databaseURL string, size int, how Fencing, silence time.Duration) (*sql.DB, error) {
	return open(databaseURL, size, how, &dialer{silence: silence})
}
