// Package pool opens Postgres: a bounded pool of connections, each with its own prepared statements.
//
// lib/pq spends two round trips on a statement with arguments that it has not prepared, and Postgres
// parses and plans it each time. A connection of this package prepares such a statement once and
// keeps it, up to a number, dropping the one that was used least recently. Statements without
// arguments, and all but reads and writes of rows, pass through.
//
// Guarantees: a statement whose plan the database has invalidated is prepared anew, and tried again
// if it stood outside a transaction; a connection to a server that is shutting down, or that has
// become read-only after a failover, does not go back into the pool; a statement that the server
// leaves without an answer fails, its connection ends, and so do those that were idle meanwhile.
//
// Behind a pooler that hands out a server connection per transaction, prepared statements need the
// pooler's own support for them.
//
// The package imports lib/pq, Ent and the tenancy rule.
package pool

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/lib/pq"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/rule"
	_ "github.com/cardea/cardea/ent/runtime" // defaults and validators of the schema
)

// life makes a pool follow a database that moved, within minutes.
const life = 5 * time.Minute

// Open returns a pool of at most size connections to the database of a URL. It does not connect yet.
// A statement may be without an answer for ten seconds.
func Open(databaseURL string, size int, how Fencing) (*sql.DB, error) {
	return open(databaseURL, size, how, &dialer{silence: silence})
}

// OpenPatient is Open for work that may take as long as it likes, such as building an index.
func OpenPatient(databaseURL string, size int, how Fencing) (*sql.DB, error) {
	return open(databaseURL, size, how, &dialer{})
}

func open(databaseURL string, size int, how Fencing, by *dialer) (*sql.DB, error) {
	plain, err := pq.NewConnector(databaseURL)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	plain.Dialer(by)
	db := sql.OpenDB(connector{plain, how})
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	db.SetConnMaxLifetime(life)
	return db, nil
}

// Client returns the model on a pool, behind the tenancy rule.
func Client(db *sql.DB) *ent.Client {
	return rule.Guard(ent.NewClient(ent.Driver(entsql.OpenDB(dialect.Postgres, db))))
}

// connector makes connections that keep prepared statements and tell Postgres whom they serve.
type connector struct {
	driver.Connector
	how Fencing
}

// Connect implements driver.Connector.
func (p connector) Connect(ctx context.Context) (driver.Conn, error) {
	var made *wire // the last one: of several hosts, the others were not taken
	plain, err := p.Connector.Connect(context.WithValue(ctx, wireKey{}, &made))
	if err != nil {
		return nil, err
	}
	c, ok := plain.(connection)
	if !ok {
		_ = plain.Close()
		return nil, fmt.Errorf("open database: %T lacks a method", plain)
	}
	return &conn{connection: c, wire: made, statements: newStatements(keep), fence: fence{how: p.how}}, nil
}
