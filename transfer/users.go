package transfer

import (
	"fmt"
	"net/http"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/typeid"
)

var userColumns = []string{"id", "email", "name", "givenName", "familyName", "externalId", "role", "status"}

func (t *transfer) importUsers(
	r *http.Request, file *table, dryRun bool,
) (*access.ImportReport, error) {
	if err := file.columnsAre([]string{"email"}, userColumns...); err != nil {
		return nil, err
	}
	rows := make([]access.UserRow, len(file.rows))
	for i, row := range file.rows {
		rows[i] = access.UserRow{
			Line: row.line, ID: row.at("id"), Email: row.at("email"), Name: row.at("name"),
			GivenName: row.at("givenName"), FamilyName: row.at("familyName"),
			ExternalID: row.at("externalId"), Role: row.at("role"), Status: row.at("status"),
		}
	}
	return t.access.ImportUsers(r.Context(), rows, dryRun)
}

// pageSize is how many rows are read at once.
const pageSize = 1000

// exportUsers writes everybody but guests, who have no address and cannot be imported.
func (t *transfer) exportUsers(r *http.Request, to *writer) error {
	if err := to.row(append([]string{}, userColumns...)...); err != nil {
		return err
	}
	return eachUser(r, t.db, func(u *ent.User) error {
		return to.row(u.ID.String(), *u.Email, u.Name, orEmpty(u.GivenName), orEmpty(u.FamilyName),
			orEmpty(u.ExternalID), string(u.Role), string(u.Status))
	})
}

func eachUser(r *http.Request, db *ent.Client, do func(*ent.User) error) error {
	var after typeid.User
	for {
		page, err := db.User.Query().Where(user.EmailNotNil(), beyond(user.FieldID, after)).
			Order(user.ByID()).Limit(pageSize).All(r.Context())
		if err != nil {
			return fmt.Errorf("read people: %w", err)
		}
		for _, u := range page {
			if err := do(u); err != nil {
				return err
			}
			after = u.ID
		}
		if len(page) < pageSize {
			return nil
		}
	}
}

// beyond is true of rows with a greater identifier; of all, after none.
func beyond[K interface{ IsZero() bool }](column string, after K) func(*sql.Selector) {
	return func(q *sql.Selector) {
		if !after.IsZero() {
			q.Where(sql.GT(q.C(column), after))
		}
	}
}

func orEmpty(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
