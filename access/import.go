package access

import (
	"context"
	"fmt"
	"slices"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/journal"
)

// MaxImport is how many rows one import has at most.
const MaxImport = 20_000

// ImportEffect is what an import does with a row.
type ImportEffect string

// The effects.
const (
	ImportCreate    ImportEffect = "CREATE"
	ImportUpdate    ImportEffect = "UPDATE"
	ImportUnchanged ImportEffect = "UNCHANGED"
)

// ImportedRow is what an import makes of a row.
type ImportedRow struct {
	Line   int          // of the file that it came from
	Effect ImportEffect // "" if it is at fault
	Faults Errors
}

// ImportReport is what an import does, or would do. If any row is at fault, nothing is done.
type ImportReport struct {
	Rows    []ImportedRow
	Applied bool
}

// Count is how many rows have an effect.
func (r *ImportReport) Count(effect ImportEffect) (count int) {
	for _, row := range r.Rows {
		if row.Effect == effect {
			count++
		}
	}
	return count
}

// importing is an import of one noun: plan says what its rows do, apply does it.
type importing interface {
	size() int
	plan(ctx context.Context, tx *ent.Tx) (*ImportReport, error)
	apply(ctx context.Context, s *Service, tx *ent.Tx) ([]journal.Event, error)
}

// importAll runs an import in one transaction: all of it, or nothing if a row is at fault or it is dry.
func (s *Service) importAll(
	ctx context.Context, noun string, dry bool, in importing,
) (report *ImportReport, err error) {
	if in.size() > MaxImport {
		return nil, Errors{{CodeBadUserInput, fmt.Sprintf("at most %d rows at once", MaxImport), "rows"}}
	}
	err = s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		if report, err = in.plan(ctx, tx); err != nil {
			return nil, err
		}
		if dry || report.Count("") > 0 {
			return nil, nil
		}
		report.Applied = true
		events, err := in.apply(ctx, s, tx)
		if err != nil {
			return nil, err
		}
		return append(events, journal.Event{Type: "data.imported", Data: dataOf(map[string]any{
			"noun": noun, "created": report.Count(ImportCreate), "updated": report.Count(ImportUpdate),
		})}), nil
	})
	return report, err
}

// onlyOnce complains of a value that an earlier line has too.
type onlyOnce map[string]int

func (o onlyOnce) check(f *faults, field, value string, line int) {
	if value == "" {
		return
	}
	if before, ok := o[value]; ok {
		f.found = append(f.found, Error{CodeConflict, fmt.Sprintf("line %d has it too", before), field})
		return
	}
	o[value] = line
}

func (f *faults) refuse(code Code, field, message string) {
	f.found = append(f.found, Error{code, message, field})
}

// rowsAtOnce is how many rows one statement inserts: Postgres takes 65,535 arguments.
const rowsAtOnce = 1000

// saved inserts rows in as few statements as there can be.
func saved[C any](rows []C, insert func(...C) error) error {
	for some := range slices.Chunk(rows, rowsAtOnce) {
		if err := insert(some...); err != nil {
			return err
		}
	}
	return nil
}

// exports are the rights that it takes to export a noun, its own first.
var exports = map[string][]Action{
	"users":       {ReadUsers},
	"user-groups": {ReadGroups, ReadUsers},
	"keys":        {ReadKeys, ReadUsers, ReadGroups},

	AuditLog:          {ReadEvents},
	WholeOrganization: {WriteOwners},
}

// AuditLog is the noun of an export of the journal: it counts its events.
const AuditLog = "audit-log"

// WholeOrganization is the noun of an export of everything but secrets. Owners may, and no token that is
// narrowed.
const WholeOrganization = "organization"

// RecordExport records that all of a noun is about to be read, and how many that is: users, user-groups,
// keys, AuditLog, or WholeOrganization, which counts its people. It takes the right to read all of it,
// and whom it names.
func (s *Service) RecordExport(ctx context.Context, noun string) error {
	if err := authorizeEach(ctx, exports[noun]...); err != nil {
		return err
	}
	if by, _ := actor.FromContext(ctx); noun == WholeOrganization && (by.Scopes != nil || by.Confined) {
		return errForbidden
	}
	return s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		count, err := countOf(ctx, tx, noun)
		if err != nil {
			return nil, fmt.Errorf("count %s: %w", noun, err)
		}
		told := dataOf(map[string]any{"noun": noun, "count": count})
		return []journal.Event{
			{Type: "data.exported", Data: told}, {Type: "personal_data.read", Data: told},
		}, nil
	})
}

// authorizeEach is AuthorizeAll for several actions.
func authorizeEach(ctx context.Context, actions ...Action) error {
	for _, action := range actions {
		if err := AuthorizeAll(ctx, action); err != nil {
			return err
		}
	}
	return nil
}

func countOf(ctx context.Context, tx *ent.Tx, noun string) (int, error) {
	switch noun {
	case "users", WholeOrganization:
		return tx.User.Query().Count(ctx)
	case AuditLog:
		head, err := tx.JournalHead.Query().Only(ctx)
		if err != nil {
			return 0, err
		}
		return int(head.Seq), nil
	case "user-groups":
		return tx.UserGroupMember.Query().Count(ctx)
	default:
		return tx.Key.Query().Count(ctx)
	}
}
