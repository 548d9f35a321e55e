package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/pool"
)

// bootstrap makes the first organization, and the administrator who can invite everybody else.
func (p program) bootstrap(ctx context.Context, args []string) error {
	flags := p.flags("bootstrap")
	organization := flags.String("organization", "", "its name")
	email := flags.String("email", "", "e-mail address of its first administrator")
	name := flags.String("name", "", "their name; without, what stands before the @")
	more := flags.Bool("more", false, "though there is an organization already")
	if err := flags.Parse(args); err != nil {
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
	model := pool.Client(db)
	ctx = actor.NewContext(ctx, actor.System("bootstrap"))
	there, err := model.Organization.Query().Count(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("look for organizations: %w", err)
	case there > 0 && !*more:
		return errors.New("there is an organization already; -more makes another")
	}
	if *name == "" {
		*name, _, _ = strings.Cut(*email, "@")
	}
	s := access.New(access.Config{DB: model, Secrets: c.Secrets, Log: p.logger(c)})
	org, admin, err := s.CreateOrganization(ctx, access.CreateOrganizationInput{
		Name: *organization, AdminName: *name, AdminEmail: *email,
	})
	if err != nil {
		return fmt.Errorf("create organization: %w", err)
	}
	_, _ = fmt.Fprintf(p.stdout, bootstrapped, org.ID, admin.ID, *email, access.SignInPath)
	return nil
}

const bootstrapped = `organization   %s
administrator  %s

Next:

  1. Set CARDEA_SMTP_URL and CARDEA_MAIL_FROM, so that codes to sign in are mailed,
     and CARDEA_PUBLIC_URL, where people reach this installation.
  2. Run cardea serve.
  3. Sign in as %s at %s, and invite others: inviteUser, in GraphiQL.
`
