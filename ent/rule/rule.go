// Package rule is the first gate: tenancy, on every table, for every statement that Ent builds.
//
// Without an actor in the context, everything is denied. With one, reads, updates and deletes are
// narrowed to the actor's organization, and a created row gets that organization or is refused. A
// system actor over all organizations (actor.Actor.Everywhere) is not narrowed, and must name the
// organization of what it creates.
//
// What no hook can see is closed elsewhere: a row that points at another organization's parent, by
// composite foreign keys; a unique value held by another organization, by unique indexes that start
// with org_id; an upsert that takes over another organization's row, by not generating upserts. The
// test of this package walks every schema and proves all of it.
//
// Some tables are of no organization: what is known of somebody who signs in, before it is known whose
// user they are. Only a system actor over all organizations touches those.
//
// Raw SQL is outside the gate. journal, the migrations, webhooks' claim and what access decides by use
// it, with org_id in hand.
//
// Behind it stands a second fence, which holds raw SQL too: row-level security in Postgres. FenceOf
// says for whom a statement is; ent/pool tells Postgres. The build tag norule leaves the gate out, so
// that tests can prove the fence alone.
package rule

import "errors"

var (
	// ErrNoActor denies what is done without an actor.
	ErrNoActor = errors.New("no actor")
	// ErrForeign denies a row for another organization, or for none.
	ErrForeign = errors.New("row of another organization")
)
