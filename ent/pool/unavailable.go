package pool

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// Unavailable says of an error that Postgres, or the way to it, was not there: the same may go well a
// moment later. A transaction whose commit failed so may have been committed.
func Unavailable(err error) bool {
	if network := new(net.OpError); errors.As(err, &network) {
		return true
	}
	for _, lost := range []error{
		driver.ErrBadConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
	} {
		if errors.Is(err, lost) {
			return true
		}
	}
	return pq.As(err, pqerror.AdminShutdown, pqerror.CrashShutdown, pqerror.CannotConnectNow,
		pqerror.TooManyConnections, pqerror.ReadOnlySQLTransaction) != nil
}
