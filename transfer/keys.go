package transfer

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"entgo.io/ent/dialect/sql"
	"github.com/lib/pq"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/key"
	"github.com/cardea/cardea/ent/keytarget"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/ent/usergroup"
	"github.com/cardea/cardea/typeid"
)

var keyColumns = []string{"id", "email", "group", "doorIds", "doorGroupIds", "siteId", "scheduleId",
	"validFrom", "validUntil", "uses", "remote", "shares"}

func (t *transfer) importKeys(
	r *http.Request, file *table, dryRun bool,
) (*access.ImportReport, error) {
	if err := file.columnsAre(nil, keyColumns...); err != nil {
		return nil, err
	}
	rows, bad := make([]access.KeyRow, len(file.rows)), faults{}
	for i, row := range file.rows {
		rows[i] = access.KeyRow{
			Line: row.line, Columns: file.columns, ID: row.text("id"),
			Email: row.text("email"), Group: row.text("group"),
			DoorIDs:      identifiers[typeid.Door](&bad, row, "doorIds"),
			DoorGroupIDs: identifiers[typeid.DoorGroup](&bad, row, "doorGroupIds"),
			SiteID:       identifier[typeid.Site](&bad, row, "siteId"),
			ScheduleID:   identifier[typeid.Schedule](&bad, row, "scheduleId"),
			ValidFrom:    bad.instant(row, "validFrom"), ValidUntil: bad.instant(row, "validUntil"),
			Uses: bad.number(row, "uses"), Shares: bad.number(row, "shares"), Remote: bad.truth(row, "remote"),
		}
	}
	return bad.or(func() (*access.ImportReport, error) {
		return t.access.ImportKeys(r.Context(), rows, dryRun)
	})
}

// exportKeys writes the keys that are not revoked and not shared from others, of everybody but guests.
func (t *transfer) exportKeys(r *http.Request, to *writer) error {
	if err := to.row(append([]string{}, keyColumns...)...); err != nil {
		return err
	}
	var after typeid.Key
	for {
		page, err := t.db.Key.Query().Where(key.RevokedAtIsNil(), key.Depth(0), beyond(key.FieldID, after)).
			Order(key.ByID()).Limit(pageSize).All(r.Context())
		if err != nil {
			return fmt.Errorf("read keys: %w", err)
		}
		of, err := t.holders(r, page)
		if err != nil {
			return err
		}
		for _, k := range page {
			if after = k.ID; of.knows(k) {
				if err := to.row(of.cells(k)...); err != nil {
					return err
				}
			}
		}
		if len(page) < pageSize {
			return nil
		}
	}
}

// holders are whose some keys are, and what they open.
type holders struct {
	emails  map[typeid.User]string
	groups  map[typeid.UserGroup]string
	targets map[typeid.Key]*[3][]string
}

func (t *transfer) holders(r *http.Request, keys []*ent.Key) (holders, error) {
	of := holders{map[typeid.User]string{}, map[typeid.UserGroup]string{}, map[typeid.Key]*[3][]string{}}
	var ids []typeid.Key
	var people []typeid.User
	var groups []typeid.UserGroup
	for _, k := range keys {
		ids, of.targets[k.ID] = append(ids, k.ID), &[3][]string{}
		if k.UserID != nil {
			people = append(people, *k.UserID)
		}
		if k.UserGroupID != nil {
			groups = append(groups, *k.UserGroupID)
		}
	}
	targets, err := t.db.KeyTarget.Query().Where(whose(keytarget.FieldKeyID, ids)).
		Order(keytarget.ByID()).All(r.Context())
	if err != nil {
		return of, fmt.Errorf("read what keys open: %w", err)
	}
	for _, target := range targets {
		lists := of.targets[target.KeyID]
		switch {
		case target.DoorID != nil:
			lists[0] = append(lists[0], target.DoorID.String())
		case target.DoorGroupID != nil:
			lists[1] = append(lists[1], target.DoorGroupID.String())
		default:
			lists[2] = append(lists[2], target.SiteID.String())
		}
	}
	some, err := t.db.User.Query().Where(user.EmailNotNil(), whose(user.FieldID, people)).All(r.Context())
	if err != nil {
		return of, fmt.Errorf("read holders: %w", err)
	}
	for _, u := range some {
		of.emails[u.ID] = *u.Email
	}
	named, err := t.db.UserGroup.Query().Where(whose(usergroup.FieldID, groups)).All(r.Context())
	if err != nil {
		return of, fmt.Errorf("read groups: %w", err)
	}
	for _, g := range named {
		of.groups[g.ID] = g.Name
	}
	return of, nil
}

func (of holders) knows(k *ent.Key) bool {
	return k.UserGroupID != nil || k.UserID != nil && of.emails[*k.UserID] != ""
}

func (of holders) cells(k *ent.Key) []string {
	email, group, schedule := "", "", ""
	if k.UserID != nil {
		email = of.emails[*k.UserID]
	}
	if k.UserGroupID != nil {
		group = of.groups[*k.UserGroupID]
	}
	if k.ScheduleID != nil {
		schedule = k.ScheduleID.String()
	}
	uses := ""
	if k.Uses != nil {
		uses = strconv.Itoa(*k.Uses)
	}
	lists := of.targets[k.ID]
	return []string{k.ID.String(), email, group, strings.Join(lists[0], " "), strings.Join(lists[1], " "),
		strings.Join(lists[2], " "), schedule, written(k.ValidFrom), written(k.ValidUntil), uses,
		strconv.FormatBool(k.Remote), strconv.Itoa(k.SharesLeft)}
}

func whose[K any](column string, ids []K) func(*sql.Selector) {
	return func(q *sql.Selector) {
		q.Where(sql.P(func(b *sql.Builder) {
			b.Ident(q.C(column)).WriteString(" = ANY (").Arg(pq.Array(ids)).WriteByte(')')
		}))
	}
}

// faults gathers what cannot be read in cells, by their lines.
type faults struct{ rows []access.ImportedRow }

func (f *faults) add(line int, field, message string) {
	fault := access.Error{Code: access.CodeBadUserInput, Message: message, Field: field}
	if last := len(f.rows) - 1; last >= 0 && f.rows[last].Line == line {
		f.rows[last].Faults = append(f.rows[last].Faults, fault)
		return
	}
	f.rows = append(f.rows, access.ImportedRow{Line: line, Faults: access.Errors{fault}})
}

// or reports the faults or, without any, does the rest.
func (f *faults) or(
	rest func() (*access.ImportReport, error),
) (*access.ImportReport, error) {
	if len(f.rows) > 0 {
		return &access.ImportReport{Rows: f.rows}, nil
	}
	return rest()
}

func (f *faults) instant(r row, column string) *time.Time {
	text := r.text(column)
	if text == "" {
		return nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		f.add(r.line, column, "must be a time such as 2026-11-21T08:00:00Z")
	}
	return &at
}

func (f *faults) number(r row, column string) *int {
	text := r.text(column)
	if text == "" {
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		f.add(r.line, column, "must be a number")
	}
	return &n
}

func (f *faults) truth(r row, column string) *bool {
	text := r.text(column)
	if text == "" {
		return nil
	}
	is, err := strconv.ParseBool(strings.ToLower(text))
	if err != nil {
		f.add(r.line, column, "must be true or false")
	}
	return &is
}

func identifiers[T any, P interface {
	*T
	UnmarshalText([]byte) error
}](f *faults, r row, column string) (ids []T) {
	for text := range strings.FieldsSeq(r.text(column)) {
		var id T
		if P(&id).UnmarshalText([]byte(text)) != nil {
			f.add(r.line, column, "must be identifiers with space between them")
			return nil
		}
		ids = append(ids, id)
	}
	return ids
}

func identifier[T any, P interface {
	*T
	UnmarshalText([]byte) error
}](f *faults, r row, column string) *T {
	ids := identifiers[T, P](f, r, column)
	switch len(ids) {
	case 0:
		return nil
	case 1:
		return &ids[0]
	}
	f.add(r.line, column, "must be one identifier")
	return nil
}
