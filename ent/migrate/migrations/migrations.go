// Package migrations brings a database to the present model.
//
// The folder holds Atlas-format SQL files, written by `make migration` from the difference between
// the files so far and ent/schema, then completed by hand. A file that has been applied is never
// edited: its checksum is kept, and Apply refuses a difference. A new file must leave the previous
// release's code working, because code runs before and after its migration.
//
// Apply is safe to run from many processes at once: an advisory lock serialises them.
package migrations

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

//go:embed *.sql
var files embed.FS

// lockID is the advisory lock that Apply holds: "cardea" in ASCII.
const lockID = 0x636172646561

// migration is one file of the folder.
type migration struct{ version, text, sum string }

// Hash identifies the whole set of migrations, for naming a database made from them.
func Hash() (string, error) {
	all, err := load()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, m := range all {
		h.Write([]byte(m.sum))
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

// Apply runs the migrations that the database lacks, in order, each in a transaction of its own, and
// returns their versions. It fails, having changed nothing, if an applied file was edited since.
func Apply(ctx context.Context, db *sql.DB) (applied []string, err error) {
	all, err := load()
	if err != nil {
		return nil, err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(ctx, `SELECT pg_advisory_lock($1)`, lockID); err != nil {
		return nil, fmt.Errorf("lock migrations: %w", err)
	}
	defer func() {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, lockID)
	}()
	done, err := history(ctx, conn)
	if err != nil {
		return nil, err
	}
	if err := unedited(all, done); err != nil {
		return nil, err
	}
	for _, m := range all {
		if _, ok := done[m.version]; ok {
			continue
		}
		if err := run(ctx, conn, m); err != nil {
			return applied, fmt.Errorf("migration %s: %w", m.version, err)
		}
		applied = append(applied, m.version)
	}
	return applied, nil
}

// Pending returns the versions that Apply would run.
func Pending(ctx context.Context, db *sql.DB) ([]string, error) {
	all, err := load()
	if err != nil {
		return nil, err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	defer func() { _ = conn.Close() }()
	done, err := history(ctx, conn)
	if err != nil {
		return nil, err
	}
	var pending []string
	for _, m := range all {
		if _, ok := done[m.version]; !ok {
			pending = append(pending, m.version)
		}
	}
	return pending, unedited(all, done)
}

func load() ([]migration, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	all := make([]migration, 0, len(names))
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read migration: %w", err)
		}
		sum := sha256.Sum256(text)
		all = append(all, migration{
			version: strings.TrimSuffix(path.Base(name), ".sql"),
			text:    string(text), sum: hex.EncodeToString(sum[:]),
		})
	}
	return all, nil
}

// history returns the checksums of the applied versions, making their table at first.
func history(ctx context.Context, conn *sql.Conn) (map[string]string, error) {
	_, err := conn.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS schema_migrations (
		version text PRIMARY KEY, sum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`)
	if err != nil {
		return nil, fmt.Errorf("create migration history: %w", err)
	}
	rows, err := conn.QueryContext(ctx, `SELECT version, sum FROM schema_migrations`)
	if err != nil {
		return nil, fmt.Errorf("read migration history: %w", err)
	}
	defer func() { _ = rows.Close() }()
	done := map[string]string{}
	for rows.Next() {
		var version, sum string
		if err := rows.Scan(&version, &sum); err != nil {
			return nil, fmt.Errorf("read migration history: %w", err)
		}
		done[version] = sum
	}
	return done, rows.Err()
}

func unedited(all []migration, done map[string]string) error {
	for _, m := range all {
		if sum, ok := done[m.version]; ok && sum != m.sum {
			return fmt.Errorf("migration %s was edited after it was applied", m.version)
		}
	}
	return nil
}

// actForAll lets a migration reach the rows of every organization: row-level security holds the owner
// of the tables too. It ends with the transaction.
const actForAll = `SELECT set_config('cardea.organization', 'ffffffff-ffff-ffff-ffff-ffffffffffff', true)`

func run(ctx context.Context, conn *sql.Conn, m migration) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, actForAll); err != nil {
		return fmt.Errorf("act for all organizations: %w", err)
	}
	if _, err := tx.ExecContext(ctx, m.text); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx,
		`INSERT INTO schema_migrations (version, sum) VALUES ($1, $2)`, m.version, m.sum)
	if err != nil {
		return err
	}
	return tx.Commit()
}
