package pool

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// connection is what lib/pq's connections are.
type connection interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

// statement is what lib/pq's prepared statements are.
type statement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// conn is a connection with its prepared statements. Like every driver.Conn it serves one caller at
// a time.
type conn struct {
	connection
	wire       *wire
	statements *statements
	fence      fence
	inTx       bool
	spent      bool
}

// QueryContext implements driver.QueryerContext.
func (c *conn) QueryContext(
	ctx context.Context, query string, args []driver.NamedValue,
) (driver.Rows, error) {
	if err := c.stand(ctx, query); err != nil {
		return nil, err
	}
	if !worthKeeping(query, args) {
		rows, err := c.connection.QueryContext(ctx, query, args)
		return rows, c.note(err)
	}
	return run(ctx, c, query, func(s statement) (driver.Rows, error) {
		return s.QueryContext(ctx, args)
	})
}

// ExecContext implements driver.ExecerContext.
func (c *conn) ExecContext(
	ctx context.Context, query string, args []driver.NamedValue,
) (driver.Result, error) {
	if err := c.stand(ctx, query); err != nil {
		return nil, err
	}
	if !worthKeeping(query, args) {
		result, err := c.connection.ExecContext(ctx, query, args)
		return result, c.note(err)
	}
	return run(ctx, c, query, func(s statement) (driver.Result, error) {
		return s.ExecContext(ctx, args)
	})
}

// PrepareContext implements driver.ConnPrepareContext, within a transaction only: a statement that
// outlives it could run for somebody else.
func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if !c.inTx {
		return nil, errors.New("prepare a statement outside of a transaction: the pool does that")
	}
	if err := c.stand(ctx, query); err != nil {
		return nil, err
	}
	s, err := c.connection.PrepareContext(ctx, query)
	return s, c.note(err)
}

// BeginTx implements driver.ConnBeginTx.
func (c *conn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	if err := c.stand(ctx, "BEGIN"); err != nil {
		return nil, err
	}
	t, err := c.connection.BeginTx(ctx, options)
	if err != nil {
		return nil, c.note(err)
	}
	c.inTx = true
	return tx{t, c}, nil
}

// IsValid implements driver.Validator: whether the connection may go back into the pool.
func (c *conn) IsValid() bool { return !c.spent && c.connection.IsValid() }

// ResetSession implements driver.SessionResetter: it comes out of the pool.
func (c *conn) ResetSession(ctx context.Context) error {
	if c.wire.doubtful() {
		return driver.ErrBadConn
	}
	return c.connection.ResetSession(ctx)
}

// run runs the prepared statement of a query.
func run[T any](
	ctx context.Context, c *conn, query string, do func(statement) (T, error),
) (result T, err error) {
	for tried := false; ; tried = true {
		s, err := c.prepared(ctx, query)
		if err != nil {
			return result, c.note(err)
		}
		result, err = do(s)
		if pq.As(err, pqerror.FeatureNotSupported, pqerror.InvalidSQLStatementName) == nil {
			return result, c.note(err)
		}
		// The table under the plan has changed: "cached plan must not change result type".
		c.statements.drop(query)
		if tried || c.inTx {
			return result, err
		}
	}
}

// prepared returns the statement of a query, preparing it at first.
func (c *conn) prepared(ctx context.Context, query string) (statement, error) {
	if s, ok := c.statements.get(query); ok {
		return s, nil
	}
	plain, err := c.connection.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s := plain.(statement) //nolint:forcetypeassert // lib/pq's are; TestStatementsAreKept holds it to it
	c.statements.add(query, s)
	return s, nil
}

// note marks the connection as spent if its server can no longer serve writes.
func (c *conn) note(err error) error {
	if pq.As(err, pqerror.ReadOnlySQLTransaction, pqerror.AdminShutdown,
		pqerror.CannotConnectNow, pqerror.CrashShutdown) != nil {
		c.spent = true
	}
	return err
}

// worthKeeping says whether a query is one that comes again: it has arguments and works on rows.
func worthKeeping(query string, args []driver.NamedValue) bool {
	if len(args) == 0 {
		return false
	}
	switch verb(query) {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "WITH":
		return true
	}
	return false
}

// verb is the first word of a query.
func verb(query string) string {
	word, _, _ := strings.Cut(strings.TrimLeft(query, " \t\n("), " ")
	return strings.ToUpper(word)
}

// tx tells its connection when it ends.
type tx struct {
	driver.Tx
	conn *conn
}

// Commit implements driver.Tx.
func (t tx) Commit() error {
	t.conn.ended()
	return t.conn.note(t.Tx.Commit())
}

// Rollback implements driver.Tx.
func (t tx) Rollback() error {
	t.conn.ended()
	return t.Tx.Rollback()
}

// ended is called when a transaction ends: what was told within it has ended too.
func (c *conn) ended() { c.inTx, c.fence.moved = false, false }
