package pool

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/cardea/cardea/ent/rule"
)

// Fencing says how much Postgres itself holds to the organization of whoever it is sent for.
type Fencing string

// The ways to fence.
const (
	FenceAll    Fencing = "all"    // every statement
	FenceWrites Fencing = "writes" // what writes, and what is read in a transaction; no other read
	FenceOff    Fencing = "off"    // nothing; for roles that no policy holds anyway
)

// setFence is what the policies of the tables ask for. Local to a transaction, it ends with that one,
// however it ends.
const setFence = `SELECT set_config('cardea.organization', $1, $2)`

// fence is what a connection's session and its transaction were last told.
type fence struct {
	how     Fencing
	known   bool // session is what the server has
	session rule.Fence
	moved   bool // the transaction was told another one than session
	local   rule.Fence
}

// stand tells the connection whom the next statement is for, unless it has been told.
//
// What is told outside of a transaction stays until it is told anew: through errors, rollbacks and
// the return to the pool. Until the server has said yes, nothing counts as told.
func (c *conn) stand(ctx context.Context, query string) error {
	want := c.wanted(ctx, query)
	if c.inTx {
		if c.fence.inForce() == want {
			return nil
		}
		c.fence.moved, c.fence.local = true, want
		return c.tell(ctx, want, true)
	}
	if c.fence.known && c.fence.session == want {
		return nil
	}
	c.fence.known = false
	if err := c.tell(ctx, want, false); err != nil {
		return err
	}
	c.fence.known, c.fence.session = true, want
	return nil
}

func (f fence) inForce() rule.Fence {
	if f.moved {
		return f.local
	}
	return f.session
}

func (c *conn) wanted(ctx context.Context, query string) rule.Fence {
	if c.fence.how == FenceOff || c.fence.how == FenceWrites && !c.inTx && verb(query) == "SELECT" {
		return rule.Everywhere
	}
	return rule.FenceOf(ctx)
}

func (c *conn) tell(ctx context.Context, whom rule.Fence, local bool) error {
	args := []driver.NamedValue{
		{Ordinal: 1, Value: hex.EncodeToString(whom[:])}, {Ordinal: 2, Value: local}}
	_, err := run(ctx, c, setFence, func(s statement) (driver.Result, error) {
		return s.ExecContext(ctx, args)
	})
	return err
}

// ErrUnfenced says that Postgres would let the program's role past every policy.
var ErrUnfenced = errors.New("row-level security does not hold this role")

// CheckFence returns ErrUnfenced if the pool's role is one that no policy holds: a superuser, or one
// with BYPASSRLS.
func CheckFence(ctx context.Context, db *sql.DB) error {
	var role string
	var bypasses bool
	err := db.QueryRowContext(ctx, `SELECT rolname, rolsuper OR rolbypassrls
		FROM pg_roles WHERE rolname = current_user`).Scan(&role, &bypasses)
	if err != nil {
		return fmt.Errorf("check the database role: %w", err)
	}
	if bypasses {
		return fmt.Errorf("role %q: %w", role, ErrUnfenced)
	}
	return nil
}
