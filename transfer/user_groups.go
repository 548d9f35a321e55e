package transfer

import (
	"fmt"
	"net/http"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/ent/usergroup"
	"github.com/cardea/cardea/ent/usergroupmember"
	"github.com/cardea/cardea/typeid"
)

var groupColumns = []string{"group", "parent", "email", "validFrom", "validUntil"}

func (t *transfer) importUserGroups(
	r *http.Request, file *table, dryRun bool,
) (*access.ImportReport, error) {
	if err := file.columnsAre([]string{"group"}, groupColumns...); err != nil {
		return nil, err
	}
	rows, bad := make([]access.UserGroupRow, len(file.rows)), faults{}
	for i, row := range file.rows {
		rows[i] = access.UserGroupRow{
			Line: row.line, Group: row.text("group"), Parent: row.text("parent"), Email: row.text("email"),
			ValidFrom: bad.instant(row, "validFrom"), ValidUntil: bad.instant(row, "validUntil"),
			Windows: file.has("validFrom") || file.has("validUntil"),
		}
	}
	return bad.or(func() (*access.ImportReport, error) {
		return t.access.ImportUserGroups(r.Context(), rows, dryRun)
	})
}

// exportUserGroups writes a row for each group, wholes before parts, and then one for each person in it.
func (t *transfer) exportUserGroups(r *http.Request, to *writer) error {
	if err := to.row(append([]string{}, groupColumns...)...); err != nil {
		return err
	}
	groups, err := t.db.UserGroup.Query().Order(usergroup.ByID()).All(r.Context())
	if err != nil {
		return fmt.Errorf("read groups: %w", err)
	}
	names := map[typeid.UserGroup]string{}
	for _, g := range groups {
		names[g.ID] = g.Name
	}
	for _, parts := range []bool{false, true} {
		for _, g := range groups {
			if (g.ParentID != nil) != parts {
				continue
			}
			parent := ""
			if g.ParentID != nil {
				parent = names[*g.ParentID]
			}
			if err := to.row(g.Name, parent, "", "", ""); err != nil {
				return err
			}
		}
	}
	return t.exportMembers(r, to, names)
}

func (t *transfer) exportMembers(
	r *http.Request, to *writer, names map[typeid.UserGroup]string,
) error {
	var after typeid.UserGroupMember
	for {
		var page []struct {
			ID         typeid.UserGroupMember `sql:"id"`
			Group      typeid.UserGroup       `sql:"user_group_id"`
			Email      string                 `sql:"email"`
			ValidFrom  *time.Time             `sql:"valid_from"`
			ValidUntil *time.Time             `sql:"valid_until"`
		}
		err := t.db.UserGroupMember.Query().Where(beyond(usergroupmember.FieldID, after)).
			Modify(func(q *sql.Selector) {
				u := sql.Table(user.Table)
				q.Join(u).On(q.C(usergroupmember.FieldUserID), u.C(user.FieldID))
				q.Where(sql.NotNull(u.C(user.FieldEmail)))
				q.Select(q.C(usergroupmember.FieldID), q.C(usergroupmember.FieldUserGroupID), u.C(user.FieldEmail),
					q.C(usergroupmember.FieldValidFrom), q.C(usergroupmember.FieldValidUntil)).
					OrderBy(q.C(usergroupmember.FieldID)).Limit(pageSize)
			}).Scan(r.Context(), &page)
		if err != nil {
			return fmt.Errorf("read members: %w", err)
		}
		for _, m := range page {
			err := to.row(names[m.Group], "", m.Email, written(m.ValidFrom), written(m.ValidUntil))
			if err != nil {
				return err
			}
			after = m.ID
		}
		if len(page) < pageSize {
			return nil
		}
	}
}

func written(at *time.Time) string {
	if at == nil {
		return ""
	}
	return at.UTC().Format(time.RFC3339Nano)
}
