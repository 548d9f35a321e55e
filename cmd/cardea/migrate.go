package main

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"

	"github.com/cardea/cardea/ent/migrate/migrations"
	"github.com/cardea/cardea/ent/pool"
	"github.com/cardea/cardea/journal"
)

// migrate brings the database to this program's model.
func (p program) migrate(ctx context.Context, args []string) error {
	if err := p.flags("migrate").Parse(args); err != nil {
		return err
	}
	_, db, err := p.openDatabase()
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if err := p.applyMigrations(ctx, db); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(p.stderr, nil))
	return journal.NewKeeper(journal.KeeperConfig{DB: pool.Client(db), Log: log}).MakeMonths(ctx, monthsMigrated)
}

// monthsMigrated is for how many coming months there is room in the journal after a migration, where the
// program may not make it itself.
const monthsMigrated = 12

// openDatabase is for commands that need the database alone. If the environment has no secrets,
// what they seal is lost.
func (p program) openDatabase() (config, *sql.DB, error) {
	c, err := readConfig(p.env, map[string]string{
		"CARDEA_REDIS_URL": "unix:///unused", "CARDEA_SECRETS": newSecret(),
	})
	if err != nil {
		return c, nil, err
	}
	db, err := pool.OpenPatient(c.DatabaseURL, c.DatabasePool, c.Fence)
	return c, db, err
}

func (p program) applyMigrations(ctx context.Context, db *sql.DB) error {
	applied, err := migrations.Apply(ctx, db)
	for _, version := range applied {
		_, _ = fmt.Fprintln(p.stdout, "applied migration", version)
	}
	return err
}
