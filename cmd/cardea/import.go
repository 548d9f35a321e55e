package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/pool"
	"github.com/cardea/cardea/transfer"
)

// importArchive makes an organization of an archive that export wrote, here or elsewhere.
func (p program) importArchive(ctx context.Context, args []string) error {
	flags := p.flags("import")
	var how transfer.RestoreOptions
	flags.BoolVar(&how.DryRun, "dry-run", false, "say what would happen, and do nothing")
	flags.BoolVar(&how.WithoutSecrets, "without-secrets", false,
		"though PINs, cards and identity providers were sealed with secrets that CARDEA_SECRETS lacks")
	flags.Int64Var(&how.MaxBytes, "max-bytes", transfer.DefaultMaxArchive,
		"that it holds at most, unpacked")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("name one archive: cardea import FILE")
	}
	file, err := os.Open(flags.Arg(0))
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	about, err := file.Stat()
	if err != nil {
		return err
	}
	c, db, err := p.openDatabase()
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if err := p.applyMigrations(ctx, db); err != nil {
		return err
	}
	s := access.New(access.Config{DB: pool.Client(db), Secrets: c.Secrets, Log: p.logger(c)})
	ctx = actor.NewContext(ctx, actor.System("import"))
	done, err := transfer.Restore(ctx, s, file, about.Size(), how)
	if err != nil {
		return fmt.Errorf("import %s: %w", flags.Arg(0), err)
	}
	p.tellImported(done, how.DryRun)
	return nil
}

// tellImported says what was imported, and what is left to do.
func (p program) tellImported(done *access.ImportedOrganization, dry bool) {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(p.stdout, format+"\n", args...) }
	if dry {
		say("a dry run: nothing was changed")
	}
	say("organization   %s", done.Organization.ID)
	for _, file := range access.ArchiveFiles {
		say("%9d  %s", done.Lines[file.Name], file.Name)
	}
	say("\nNot in any archive:")
	for _, left := range access.ArchiveLeavesOut {
		say("  %-34s %s", left.What, left.Why)
	}
	lacking := done.Lacking
	for _, todo := range []struct {
		count int
		what  string
	}{
		{lacking.PINs, "PINs open nothing without the secrets of the installation they come from"},
		{lacking.Cards, "cards open nothing without them"},
		{lacking.Providers, "identity providers need their client secrets anew, or the secrets"},
		{lacking.Endpoints, "webhook endpoints are disabled: make them anew, which shows their secrets"},
	} {
		if todo.count > 0 {
			say("to do: %d %s", todo.count, todo.what)
		}
	}
}
