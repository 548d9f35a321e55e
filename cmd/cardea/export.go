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
	"github.com/cardea/cardea/typeid"
)

// export writes the archive of an organization to a file that is not there yet.
func (p program) export(ctx context.Context, args []string) (err error) {
	flags := p.flags("export")
	organization := flags.String("organization", "", "its identifier, org_…")
	path := flags.String("out", "organization.zip", "the file to write")
	if err := flags.Parse(args); err != nil {
		return err
	}
	id, err := typeid.Parse[typeid.Organization](*organization)
	if err != nil {
		return fmt.Errorf("name the organization: %w", err)
	}
	c, db, err := p.openDatabase()
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	model := pool.Client(db)
	ctx = actor.NewContext(ctx, actor.System("export").Within(id))
	if _, err := model.Organization.Query().Only(ctx); err != nil {
		return fmt.Errorf("look for the organization: %w", err)
	}
	s := access.New(access.Config{DB: model, Secrets: c.Secrets, Log: p.logger(c)})
	if err := s.RecordExport(ctx, access.WholeOrganization); err != nil {
		return fmt.Errorf("record the export: %w", err)
	}
	file, err := os.OpenFile(*path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(transfer.Archive(ctx, model, file), file.Close()); err != nil {
		return fmt.Errorf("write the archive: %w", errors.Join(err, os.Remove(*path)))
	}
	_, _ = fmt.Fprintln(p.stdout, "wrote", *path)
	return nil
}
