package pool_test

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/cardea/cardea/ent/pool"
)

func TestUnavailable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want bool
	}{
		{io.EOF, true},
		{driver.ErrBadConn, true},
		{&net.OpError{Op: "read", Err: errors.New("connection reset by peer")}, true},
		{&pq.Error{Code: pqerror.CannotConnectNow}, true},
		{&pq.Error{Code: pqerror.AdminShutdown}, true},
		{&pq.Error{Code: pqerror.UniqueViolation}, false},
		{errors.New("another"), false},
		{nil, false},
	} {
		wrapped := c.err
		if wrapped != nil {
			wrapped = fmt.Errorf("read doors: %w", c.err)
		}
		if got := pool.Unavailable(wrapped); got != c.want {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}
