package access

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/lib/pq"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// UserRow is a person as a file describes them. What is nil the file says nothing of; "" clears.
type UserRow struct {
	Line       int
	ID         *string // whoever is named by it has to be there
	Email      *string // needed, and what finds the person without ID
	Name       *string // needed for somebody new
	GivenName  *string
	FamilyName *string
	ExternalID *string
	Role       *string // MEMBER, ADMIN or AUDITOR for somebody new; else it stays as it is
	Status     *string
}

// ImportUsers makes people, and changes those who are there. Nobody is deleted, and nobody's role is
// changed. It takes what UpdateUser takes: only owners change owners, the sessions and grants of
// whoever is suspended end, and the last active owner is not.
func (s *Service) ImportUsers(
	ctx context.Context, rows []UserRow, dryRun bool,
) (*ImportReport, error) {
	if err := authorizeEach(ctx, WriteUsers); err != nil {
		return nil, err
	}
	return s.importAll(ctx, "users", dryRun, &userImport{rows: rows})
}

type userImport struct {
	rows    []UserRow
	people  []person // of each row that is not at fault
	already people
}

// person is a row, as they will be, and as they are.
type person struct {
	will   Provisioned
	role   actor.Role
	before *ent.User // nil: nobody
	change []string
}

// people are those who are there, by what finds them.
type people struct {
	byID       map[typeid.User]*ent.User
	byEmail    map[string]*ent.User
	byExternal map[string]*ent.User
}

func (in *userImport) size() int { return len(in.rows) }

func (in *userImport) plan(ctx context.Context, tx *ent.Tx) (*ImportReport, error) {
	if _, err := lockOwners(ctx, tx); err != nil {
		return nil, err
	}
	if err := in.load(ctx, tx); err != nil {
		return nil, err
	}
	mayOwners := Authorize(ctx, WriteOwners) == nil
	ids, emails, externals := onlyOnce{}, onlyOnce{}, onlyOnce{}
	report := &ImportReport{Rows: make([]ImportedRow, len(in.rows))}
	in.people = in.people[:0]
	for i, row := range in.rows {
		var f faults
		ids.check(&f, "id", orZero(row.ID), row.Line)
		emails.check(&f, "email", normalEmail(orZero(row.Email)), row.Line)
		externals.check(&f, "externalId", orZero(row.ExternalID), row.Line)
		p := in.already.match(&f, row)
		if p.before != nil && p.before.Role == actor.RoleOwner && len(p.change) > 0 && !mayOwners {
			f.refuse(CodeForbidden, "role", "only owners change owners")
		}
		report.Rows[i] = ImportedRow{row.Line, p.effect(), nil}
		if len(f.found) > 0 {
			report.Rows[i] = ImportedRow{row.Line, "", f.found}
		}
		in.people = append(in.people, p)
	}
	return report, nil
}

func (p *person) effect() ImportEffect {
	switch {
	case p.before == nil:
		return ImportCreate
	case len(p.change) > 0:
		return ImportUpdate
	}
	return ImportUnchanged
}

// load reads and locks whom the rows may be about.
func (in *userImport) load(ctx context.Context, tx *ent.Tx) error {
	var ids []typeid.User
	var emails, externals []string
	for _, row := range in.rows {
		if id, err := typeid.Parse[typeid.User](orZero(row.ID)); err == nil {
			ids = append(ids, id)
		}
		emails = append(emails, normalEmail(orZero(row.Email)))
		externals = append(externals, orZero(row.ExternalID))
	}
	there, err := tx.User.Query().Where(user.EmailNotNil(), forChange, func(q *entsql.Selector) {
		q.Where(entsql.Or(anyOf(q.C(user.FieldID), ids), anyOf(q.C(user.FieldEmail), emails),
			anyOf(q.C(user.FieldExternalID), externals)))
	}).Order(user.ByID()).All(ctx)
	if err != nil {
		return fmt.Errorf("load people: %w", err)
	}
	in.already = people{map[typeid.User]*ent.User{}, map[string]*ent.User{}, map[string]*ent.User{}}
	for _, u := range there {
		in.already.byID[u.ID], in.already.byEmail[*u.Email] = u, u
		if u.ExternalID != nil {
			in.already.byExternal[*u.ExternalID] = u
		}
	}
	return nil
}

// match finds whom a row is about, and says what is wrong with it.
func (a people) match(f *faults, row UserRow) (p person) {
	email := normalEmail(orZero(row.Email))
	p.before = a.byEmail[email]
	if text := orZero(row.ID); text != "" {
		id, _ := typeid.Parse[typeid.User](text)
		if p.before = a.byID[id]; p.before == nil {
			f.refuse(CodeNotFound, "id", "no such user")
			return p
		}
	}
	if other := a.byEmail[email]; other != nil && other != p.before {
		f.refuse(CodeConflict, "email", "another user has this e-mail address")
	}
	other := a.byExternal[orZero(row.ExternalID)]
	if other != nil && (p.before == nil || other.ID != p.before.ID) {
		f.refuse(CodeConflict, "externalId", "another user has this external identifier")
	}
	p.will, p.role = row.merged(f, p.before)
	if errs, ok := p.will.check().(Errors); ok { //nolint:errorlint // its own
		f.found = append(f.found, errs...)
	}
	if p.before != nil {
		p.change = p.will.differs(p.before)
	}
	return p
}

// merged is what a row makes of whom it is about.
func (row UserRow) merged(f *faults, before *ent.User) (Provisioned, actor.Role) {
	will, role := Provisioned{Active: true}, actor.RoleMember
	if before != nil {
		will = Provisioned{before.ExternalID, orZero(before.Email), before.Name, before.GivenName,
			before.FamilyName, before.Status == user.StatusACTIVE}
		role = before.Role
	}
	will.Email = normalEmail(*set(&will.Email, row.Email, false))
	will.Name = *set(&will.Name, row.Name, false)
	will.GivenName = cell(will.GivenName, row.GivenName)
	will.FamilyName = cell(will.FamilyName, row.FamilyName)
	will.ExternalID = cell(will.ExternalID, row.ExternalID)
	switch status := orZero(row.Status); status {
	case "":
	case string(user.StatusACTIVE), string(user.StatusSUSPENDED):
		will.Active = status == string(user.StatusACTIVE)
	default:
		f.add("status", "must be ACTIVE or SUSPENDED")
	}
	wanted := actor.Role(orZero(row.Role))
	switch {
	case wanted == "" || wanted == role && before != nil:
	case before != nil:
		f.add("role", "a role is not changed by an import")
	case wanted != actor.RoleMember && wanted != actor.RoleAdmin && wanted != actor.RoleAuditor:
		f.add("role", "must be MEMBER, ADMIN or AUDITOR")
	default:
		role = wanted
	}
	return will, role
}

// cell is what an optional column becomes.
func cell(before, given *string) *string {
	switch {
	case given == nil:
		return before
	case strings.TrimSpace(*given) == "":
		return nil
	}
	return given
}

// differs lists the columns that a person would change.
func (p Provisioned) differs(from *ent.User) (change []string) {
	for column, same := range map[string]bool{
		user.FieldEmail: p.Email == orZero(from.Email), user.FieldName: p.Name == from.Name,
		user.FieldGivenName:  orZero(p.GivenName) == orZero(from.GivenName),
		user.FieldFamilyName: orZero(p.FamilyName) == orZero(from.FamilyName),
		user.FieldExternalID: orZero(p.ExternalID) == orZero(from.ExternalID),
		user.FieldStatus:     p.status() == from.Status,
	} {
		if !same {
			change = append(change, column)
		}
	}
	slices.Sort(change)
	return change
}

func (in *userImport) apply(
	ctx context.Context, s *Service, tx *ent.Tx,
) (events []journal.Event, err error) {
	var creates []*ent.UserCreate
	var updates []person
	var suspended []typeid.User
	for _, p := range in.people {
		switch p.effect() {
		case ImportCreate:
			id := typeid.New[typeid.User]()
			creates = append(creates, tx.User.Create().SetID(id).SetName(p.will.Name).SetEmail(p.will.Email).
				SetNillableGivenName(p.will.GivenName).SetNillableFamilyName(p.will.FamilyName).
				SetNillableExternalID(p.will.ExternalID).SetStatus(p.will.status()).SetRole(p.role))
			events = append(events, journal.Event{Type: "user.created", User: id})
		case ImportUpdate:
			updates = append(updates, p)
			events = append(events,
				journal.Event{Type: "user.updated", User: p.before.ID, Data: data("changed", p.change)})
			if p.before.Status == user.StatusACTIVE && !p.will.Active {
				suspended = append(suspended, p.before.ID)
			}
		case ImportUnchanged:
		}
	}
	err = saved(creates, func(some ...*ent.UserCreate) error {
		return tx.User.CreateBulk(some...).Exec(ctx)
	})
	if err != nil {
		return nil, err
	}
	if err := s.updatePeople(ctx, tx, updates); err != nil {
		return nil, err
	}
	ended, err := s.endUse(ctx, tx, suspended...)
	if err != nil {
		return nil, err
	}
	return append(events, ended...), keepOwner(ctx, tx)
}

// updatePeople changes many by one statement.
func (s *Service) updatePeople(ctx context.Context, tx *ent.Tx, all []person) error {
	if len(all) == 0 {
		return nil
	}
	by, _ := actor.FromContext(ctx)
	var ids []typeid.User
	var emails, names, statuses []string
	var given, family, external []sql.NullString
	for _, p := range all {
		ids, emails = append(ids, p.before.ID), append(emails, p.will.Email)
		names, statuses = append(names, p.will.Name), append(statuses, string(p.will.status()))
		given = append(given, nullable(p.will.GivenName))
		family = append(family, nullable(p.will.FamilyName))
		external = append(external, nullable(p.will.ExternalID))
	}
	_, err := tx.Client().ExecContext(ctx, `UPDATE users u SET email = n.email, name = n.name,
			given_name = n.given_name, family_name = n.family_name, external_id = n.external_id,
			status = n.status, updated_at = $9
		FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
			AS n (id, email, name, given_name, family_name, external_id, status)
		WHERE u.org_id = $1 AND u.id = n.id`, by.Organization, pq.Array(ids), pq.Array(emails),
		pq.Array(names), pq.Array(given), pq.Array(family), pq.Array(external), pq.Array(statuses), s.now())
	if err != nil {
		return fmt.Errorf("update people: %w", err)
	}
	return nil
}

func nullable(text *string) sql.NullString {
	return sql.NullString{String: orZero(text), Valid: text != nil}
}
