package access

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/doorgroup"
	"github.com/cardea/cardea/ent/key"
	"github.com/cardea/cardea/ent/keytarget"
	"github.com/cardea/cardea/ent/schedule"
	"github.com/cardea/cardea/ent/site"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/ent/usergroup"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// KeyRow is a key as a file describes it, for a person or for a group.
type KeyRow struct {
	Line         int
	Columns      []string // those that the file has; the others say nothing of a key that is there
	ID           string   // of one that is there already; it stays as it is
	Email        string
	Group        string
	DoorIDs      []typeid.Door
	DoorGroupIDs []typeid.DoorGroup
	SiteID       *typeid.Site
	ScheduleID   *typeid.Schedule
	ValidFrom    *time.Time
	ValidUntil   *time.Time
	Uses         *int
	Remote       *bool
	Shares       *int
}

// ImportKeys grants keys. A row with the identifier of a key leaves that one as it is, and is at fault
// if it says something else of it: a key is changed by UpdateKey, and ended by RevokeKey.
func (s *Service) ImportKeys(
	ctx context.Context, rows []KeyRow, dryRun bool,
) (*ImportReport, error) {
	if err := authorizeEach(ctx, WriteKeys, ReadUsers, ReadGroups); err != nil {
		return nil, err
	}
	return s.importAll(ctx, "keys", dryRun, &keyImport{rows: rows})
}

type keyImport struct {
	rows    []KeyRow
	people  map[string]typeid.User
	groups  map[string]typeid.UserGroup
	there   map[any]bool // identifiers of all nouns that the rows name
	keys    map[typeid.Key]*ent.Key
	targets map[typeid.Key]targets // of keys
	grants  []GrantKeyInput
	opens   []targets
}

func (in *keyImport) size() int { return len(in.rows) }

func (in *keyImport) plan(ctx context.Context, tx *ent.Tx) (*ImportReport, error) {
	if err := in.load(ctx, tx); err != nil {
		return nil, err
	}
	in.grants, in.opens = nil, nil
	ids := onlyOnce{}
	report := &ImportReport{Rows: make([]ImportedRow, len(in.rows))}
	for i, row := range in.rows {
		var f faults
		effect := ImportUnchanged
		ids.check(&f, "id", row.ID, row.Line)
		if row.ID == "" {
			effect = ImportCreate
			in.grant(&f, row)
		} else if id, err := typeid.Parse[typeid.Key](row.ID); err != nil || in.keys[id] == nil {
			f.refuse(CodeNotFound, "id", "no such key")
		} else {
			in.unchanged(&f, row, in.keys[id])
		}
		report.Rows[i] = ImportedRow{row.Line, effect, nil}
		if len(f.found) > 0 {
			report.Rows[i] = ImportedRow{row.Line, "", f.found}
		}
	}
	return report, nil
}

// grant plans a key.
func (in *keyImport) grant(f *faults, row KeyRow) {
	grant := GrantKeyInput{
		DoorIDs: row.DoorIDs, DoorGroupIDs: row.DoorGroupIDs, SiteID: row.SiteID,
		ScheduleID: row.ScheduleID, ValidFrom: row.ValidFrom, ValidUntil: row.ValidUntil,
		Uses: row.Uses, Remote: row.Remote, Shares: row.Shares,
	}
	if (row.Email == "") == (row.Group == "") {
		f.add("email", "give either a person or a group of people")
	} else if grant.UserID = in.people[normalEmail(row.Email)]; row.Email != "" && grant.UserID.IsZero() {
		f.refuse(CodeNotFound, "email", "no such user")
	} else if grant.UserGroupID = in.groups[row.Group]; row.Group != "" && grant.UserGroupID.IsZero() {
		f.refuse(CodeNotFound, "group", "no such group")
	}
	for _, id := range row.DoorIDs {
		in.known(f, "doorIds", "door", id)
	}
	for _, id := range row.DoorGroupIDs {
		in.known(f, "doorGroupIds", "group", id)
	}
	if row.SiteID != nil {
		in.known(f, "siteId", "site", *row.SiteID)
	}
	if row.ScheduleID != nil {
		in.known(f, "scheduleId", "schedule", *row.ScheduleID)
	}
	if len(f.found) > 0 {
		return
	}
	opens, err := grant.check()
	if errs, ok := err.(Errors); ok { //nolint:errorlint // its own
		f.found = append(f.found, errs...)
	}
	in.grants, in.opens = append(in.grants, grant), append(in.opens, opens)
}

func (in *keyImport) known(f *faults, field, noun string, id any) {
	if !in.there[id] {
		f.refuse(CodeNotFound, field, "no such "+noun)
	}
}

// load reads what the rows name, and holds whoever gets a key and the schedules, as GrantKey does.
func (in *keyImport) load(ctx context.Context, tx *ent.Tx) error {
	var emails, names []string
	var keys []typeid.Key
	var doors []typeid.Door
	var doorGroups []typeid.DoorGroup
	var sites []typeid.Site
	var schedules []typeid.Schedule
	for _, row := range in.rows {
		emails, names = append(emails, normalEmail(row.Email)), append(names, row.Group)
		doors, doorGroups = append(doors, row.DoorIDs...), append(doorGroups, row.DoorGroupIDs...)
		if row.SiteID != nil {
			sites = append(sites, *row.SiteID)
		}
		if row.ScheduleID != nil {
			schedules = append(schedules, *row.ScheduleID)
		}
		if id, err := typeid.Parse[typeid.Key](row.ID); err == nil {
			keys = append(keys, id)
		}
	}
	in.there, in.keys, in.targets = map[any]bool{}, map[typeid.Key]*ent.Key{}, map[typeid.Key]targets{}
	in.people, in.groups = map[string]typeid.User{}, map[string]typeid.UserGroup{}
	err := errors.Join( // in the order in which GrantKey locks
		each(func(one *ent.Schedule) { in.there[one.ID] = true })(
			tx.Schedule.Query().Where(whose(schedule.FieldID, schedules)).ForShare().All(ctx)),
		each(func(one *ent.UserGroup) { in.groups[one.Name] = one.ID })(
			tx.UserGroup.Query().Where(whose(usergroup.FieldName, names)).ForShare().All(ctx)),
		each(func(one *ent.User) { in.people[*one.Email] = one.ID })(
			tx.User.Query().Where(whose(user.FieldEmail, emails)).ForShare().
				Order(user.ByID()).All(ctx)),
		each(func(one *ent.Key) { in.keys[one.ID] = one })(
			tx.Key.Query().Where(whose(key.FieldID, keys)).All(ctx)),
		each(in.took)(tx.KeyTarget.Query().Where(whose(keytarget.FieldKeyID, keys)).All(ctx)),
		each(func(one *ent.Door) { in.there[one.ID] = true })(
			tx.Door.Query().Where(whose(door.FieldID, doors)).All(ctx)),
		each(func(one *ent.DoorGroup) { in.there[one.ID] = true })(
			tx.DoorGroup.Query().Where(whose(doorgroup.FieldID, doorGroups)).All(ctx)),
		each(func(one *ent.Site) { in.there[one.ID] = true })(
			tx.Site.Query().Where(whose(site.FieldID, sites)).All(ctx)),
	)
	if err != nil {
		return fmt.Errorf("load what keys are for: %w", err)
	}
	return nil
}

// each does something with each thing that a query found.
func each[T any](do func(T)) func(found []T, err error) error {
	return func(found []T, err error) error {
		for _, one := range found {
			do(one)
		}
		return err
	}
}

func (in *keyImport) apply(
	ctx context.Context, _ *Service, tx *ent.Tx,
) ([]journal.Event, error) {
	keys := make([]*ent.KeyCreate, len(in.grants))
	events := make([]journal.Event, len(in.grants))
	var rows []*ent.KeyTargetCreate
	for i, g := range in.grants {
		k := &ent.Key{ID: typeid.New[typeid.Key](), UserID: orNil(g.UserID), UserGroupID: orNil(g.UserGroupID)}
		keys[i] = g.create(tx).SetID(k.ID)
		rows = append(rows, in.opens[i].rows(tx, k)...)
		events[i] = in.opens[i].told("key.created", k)
	}
	err := saved(keys, func(some ...*ent.KeyCreate) error { return tx.Key.CreateBulk(some...).Exec(ctx) })
	if err != nil {
		return nil, err
	}
	return events, saved(rows, func(some ...*ent.KeyTargetCreate) error {
		return tx.KeyTarget.CreateBulk(some...).Exec(ctx)
	})
}
