//go:build ignore

// Diff writes the migration that leads from the files of this folder to ent/schema, or with -check
// fails if there is anything to write. It needs an empty scratch database in CARDEA_DATABASE_URL.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"path/filepath"
	"slices"

	atlas "ariga.io/atlas/sql/migrate"
	atlaspostgres "ariga.io/atlas/sql/postgres"
	atlasschema "ariga.io/atlas/sql/schema"
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql/schema"
	_ "github.com/lib/pq"

	"github.com/cardea/cardea/ent/migrate"
)

const folder = "ent/migrate/migrations"

func main() {
	name := flag.String("name", "change", "what the migration does, in snake_case")
	check := flag.Bool("check", false, "fail if a migration is missing; leave no file behind")
	flag.Parse()
	before := files()
	dir, err := atlas.NewLocalDir(folder)
	if err != nil {
		log.Fatal(err)
	}
	if !*check {
		rehash(dir)
	}
	err = migrate.NamedDiff(context.Background(), os.Getenv("CARDEA_DATABASE_URL"), *name,
		schema.WithDir(dir), schema.WithMigrationMode(schema.ModeReplay),
		schema.WithDialect(dialect.Postgres), schema.WithFormatter(atlas.DefaultFormatter),
		schema.WithDiffHook(keepHandWritten))
	if err != nil {
		log.Fatal(err)
	}
	after := files()
	if *check && len(after) != len(before) {
		for name := range after {
			if !before[name] {
				_ = os.Remove(name)
			}
		}
		log.Fatal("ent/schema differs from the migrations: run make migration NAME=…")
	}
}

// rehash takes files that were completed or written by hand into atlas.sum.
func rehash(dir *atlas.LocalDir) {
	sum, err := dir.Checksum()
	if err == nil {
		err = atlas.WriteSumFile(dir, sum)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// keepHandWritten drops from the difference what Ent cannot express and so would remove: composite
// foreign keys, checks, hand-written indexes and partitions.
func keepHandWritten(next schema.Differ) schema.Differ {
	return schema.DiffFunc(func(current, desired *atlasschema.Schema) ([]atlasschema.Change, error) {
		for _, table := range current.Tables {
			table.Attrs = slices.DeleteFunc(table.Attrs, isPartition)
		}
		changes, err := next.Diff(current, desired)
		var kept []atlasschema.Change
		for _, change := range changes {
			if table, ok := change.(*atlasschema.ModifyTable); ok {
				table.Changes = ours(table.Changes)
				if len(table.Changes) == 0 {
					continue
				}
			}
			kept = append(kept, change)
		}
		return kept, err
	})
}

func isPartition(attr atlasschema.Attr) bool {
	_, is := attr.(*atlaspostgres.Partition)
	return is
}

func ours(changes []atlasschema.Change) (kept []atlasschema.Change) {
	for _, change := range changes {
		switch change := change.(type) {
		case *atlasschema.DropForeignKey, *atlasschema.DropCheck, *atlasschema.DropIndex:
			continue
		case *atlasschema.AddIndex: // of partitions: each has its own
			if change.I.Name == "event_org_id_seq" {
				continue
			}
		}
		kept = append(kept, change)
	}
	return kept
}

func files() map[string]bool {
	names, err := filepath.Glob(folder + "/*.sql")
	if err != nil {
		log.Fatal(err)
	}
	set := map[string]bool{}
	for _, name := range names {
		set[name] = true
	}
	return set
}
