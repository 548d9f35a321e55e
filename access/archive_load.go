package access

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/cardea/cardea/access/schedule"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/rule"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// ImportOrganizationInput is an archive, as far as its manifest tells of it.
type ImportOrganizationInput struct {
	ID   typeid.Organization
	Size int64  // of the journal, in events
	Root []byte // of the journal's tree
	// Lines are those of a file of ArchiveFiles, from its first, whenever it is called.
	Lines func(file string) iter.Seq2[[]byte, error]
	// WithoutSecrets imports what was sealed with secrets that this installation lacks. It is of no use
	// until they are added.
	WithoutSecrets bool
	DryRun         bool // do all of it, and then nothing
}

// ImportedOrganization is what was imported, and what is to be done before it works as it did.
type ImportedOrganization struct {
	Organization *ent.Organization
	Lines        map[string]int // of each file
	Lacking      Lacking
}

// errDry ends a dry run.
var errDry = errors.New("a dry run")

// ImportOrganization makes an organization of another installation here, as it was, with its identifiers
// and its journal. Only a system actor may. It is one transaction: whatever is wrong with the archive,
// nothing has happened. An identifier that is in use here, by whomever, is a conflict.
//
// The rows go through the model's own validators, its rule and the constraints of the database, as those
// of everybody else do, and the journal must have the root that is told of it.
func (s *Service) ImportOrganization(
	ctx context.Context, in ImportOrganizationInput,
) (done *ImportedOrganization, err error) {
	by, _ := actor.FromContext(ctx)
	if by.Kind != actor.KindSystem {
		return nil, errForbidden
	}
	ctx = actor.NewContext(ctx, by.Within(in.ID))
	err = s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		done = &ImportedOrganization{Lines: map[string]int{}}
		if err := s.importInto(ctx, tx, in, done); err != nil {
			return nil, err
		}
		if in.DryRun {
			return nil, errDry
		}
		return []journal.Event{{Type: "data.imported", Data: dataOf(map[string]any{
			"noun": WholeOrganization, "created": done.rows(), "updated": 0,
		})}}, nil
	})
	if err != nil && !errors.Is(err, errDry) {
		return nil, err
	}
	return done, nil
}

// rows is how many were made, without events.
func (i *ImportedOrganization) rows() (count int) {
	for file, lines := range i.Lines {
		if file != eventsFile && file != prunedFile {
			count += lines
		}
	}
	return count
}

func (s *Service) importInto(
	ctx context.Context, tx *ent.Tx, in ImportOrganizationInput, done *ImportedOrganization,
) error {
	there, err := tx.Organization.Query().Count(ctx)
	if err != nil {
		return fmt.Errorf("look for the organization: %w", err)
	}
	if there > 0 {
		return Error{CodeConflict, "the organization is here already", "organizationId"}
	}
	// A part may come before its whole: which was made first says nothing of which is part of which.
	if _, err := tx.ExecContext(ctx, `SET CONSTRAINTS ALL DEFERRED`); err != nil {
		return fmt.Errorf("defer constraints: %w", err)
	}
	for _, file := range ArchiveFiles {
		if file.load == nil {
			continue
		}
		lines, err := file.load(ctx, tx, in.Lines(file.Name))
		if done.Lines[file.Name] = lines; err != nil {
			return inFile(file.Name, err)
		}
	}
	if err := importJournal(ctx, tx, in, done); err != nil {
		return inFile(eventsFile, err)
	}
	if _, err := tx.ExecContext(ctx, `SET CONSTRAINTS ALL IMMEDIATE`); err != nil {
		return inFile("groups and keys", err)
	}
	if err := checkImported(ctx, tx); err != nil {
		return err
	}
	if done.Lacking, err = s.lacking(ctx, tx); err != nil {
		return err
	}
	if done.Lacking.Secrets() > 0 && !in.WithoutSecrets {
		return done.Lacking.refusal()
	}
	done.Organization, err = tx.Organization.Query().Only(ctx)
	return inFile("organizations", err)
}

// importJournal loads the journal, whose root is the one that the manifest tells. Webhooks go on after it.
func importJournal(
	ctx context.Context, tx *ent.Tx, in ImportOrganizationInput, done *ImportedOrganization,
) error {
	if err := journal.Start(ctx, tx, in.ID); err != nil {
		return err
	}
	pruned, events := 0, 0
	counted := func(yield func([]byte, error) bool) {
		for line, err := range in.Lines(eventsFile) {
			if events++; !yield(line, err) {
				return
			}
		}
	}
	chain, err := journal.Load(ctx, tx, in.ID, counted, readPruned(in.Lines(prunedFile), &pruned))
	if err != nil {
		return err
	}
	done.Lines[prunedFile], done.Lines[eventsFile] = pruned, events
	root, err := chain.Root()
	if err != nil {
		return err
	}
	if chain.Sequence() != in.Size || !bytes.Equal(root, in.Root) {
		return Error{CodeBadUserInput, "the journal is not the one that the manifest tells of", "journal"}
	}
	return tx.WebhookCursor.Create().SetID(in.ID).SetSeq(chain.Sequence()).Exec(ctx)
}

// checkArchived checks what neither Ent's validators nor the database know of a row.
func checkArchived(ctx context.Context, row any) error {
	by, _ := actor.FromContext(ctx)
	var f faults
	var wrong []schedule.Fault
	switch row := row.(type) {
	case *ent.Organization:
		if row.ID != by.Organization {
			return rule.ErrForeign
		}
	case *ent.Site:
		f.timeZone("time_zone", &row.TimeZone)
	case *ent.Schedule:
		wrong = schedule.CheckWindows(row.Windows)
	case *ent.HolidayCalendar:
		wrong = schedule.CheckHolidays(row.Holidays)
	}
	for _, fault := range wrong {
		f.add(fault.Field, "%s", fault.Message)
	}
	return f.err()
}

// impossible are what no organization has, each with a statement that finds it.
var impossible = []struct{ what, statement string }{
	{"nobody is an active owner", `SELECT 1 WHERE NOT EXISTS (
		SELECT FROM users WHERE role = 'OWNER' AND status = 'ACTIVE' AND org_id = $1)`},
	{"a key is no deeper than the one that it was shared from", `SELECT 1 FROM keys k
		LEFT JOIN keys p ON p.org_id = k.org_id AND p.id = k.parent_id
		WHERE k.org_id = $1 AND k.depth IS DISTINCT FROM coalesce(p.depth + 1, 0) LIMIT 1`},
	{"what a key opens is somebody else's", `SELECT 1 FROM key_targets t
		JOIN keys k ON k.org_id = t.org_id AND k.id = t.key_id
		WHERE t.org_id = $1 AND (t.user_id IS DISTINCT FROM k.user_id
			OR t.user_group_id IS DISTINCT FROM k.user_group_id) LIMIT 1`},
	{"a part of a group has parts", `SELECT 1 FROM user_groups g
		JOIN user_groups p ON p.org_id = g.org_id AND p.id = g.parent_id
		WHERE g.org_id = $1 AND p.parent_id IS NOT NULL LIMIT 1`},
	{"a part of a group of doors has parts", `SELECT 1 FROM door_groups g
		JOIN door_groups p ON p.org_id = g.org_id AND p.id = g.parent_id
		WHERE g.org_id = $1 AND p.parent_id IS NOT NULL LIMIT 1`},
}

func checkImported(ctx context.Context, tx *ent.Tx) error {
	by, _ := actor.FromContext(ctx)
	var f faults
	for _, never := range impossible {
		found, err := tx.ExecContext(ctx, never.statement, by.Organization)
		if err != nil {
			return fmt.Errorf("check what was imported: %w", err)
		}
		if count, err := found.RowsAffected(); err != nil || count > 0 {
			f.add("file", "%s", never.what)
		}
	}
	return f.err()
}

// inFile makes what stopped the rows of a file the caller's error, and says in which file it is.
func inFile(file string, err error) error {
	if err == nil {
		return nil
	}
	code, where := CodeBadUserInput, file
	if at, ok := errors.AsType[lineError](err); ok {
		where, err = file+": "+at.where, at.err
	}
	violation, ours := pq.As(err, pqerror.UniqueViolation), errors.As(err, new(Error))
	switch {
	case violation != nil:
		code, err = CodeConflict, errors.New("an identifier, or what is unique, is in use here already")
	case errors.Is(err, rule.ErrForeign):
		err = errors.New("a row is of another organization")
	case ours || errors.Is(err, journal.ErrInvalid) || ent.IsValidationError(err) || isData(err):
	default:
		return fmt.Errorf("import %s: %w", where, err)
	}
	return Error{code, where + ": " + err.Error(), "file"}
}

// isData says whether Postgres refused values: they break a constraint, or are none of their type.
func isData(err error) bool {
	var refused *pq.Error
	return errors.As(err, &refused) && (refused.Code.Class() == "22" || refused.Code.Class() == "23")
}
