package scim

import (
	"strings"
	"testing"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// FuzzFilter: whatever is sent is refused or becomes a condition, whose text holds nothing that was
// sent: values are arguments, and attributes are columns that we named.
func FuzzFilter(f *testing.F) {
	for _, filter := range []string{
		`userName eq "bjensen"`, `name.familyName co "O'Malley"`, `meta.created ge "2011-05-13T04:42:34Z"`,
		`not (emails[type eq "work" and value co "@example.com"]) or active eq False`,
		`members[value eq "2819c223"]`, `id ne null and externalId gt "x\u0000"`, `((userName pr))`,
	} {
		f.Add(filter)
	}
	f.Fuzz(func(t *testing.T, filter string) {
		for _, of := range []attributes{userAttributes, memberAttributes} {
			e, err := parseFilter(filter)
			if err != nil {
				return
			}
			c, err := of.where(e)
			if err != nil {
				continue
			}
			q := sql.Dialect(dialect.Postgres).Select("*").From(sql.Table("users"))
			text, args := q.Where(c(q)).Query()
			for _, r := range text {
				if !strings.ContainsRune(plainSQL, r) {
					t.Fatalf("%q in %s", r, text)
				}
			}
			if strings.Count(text, "$") < len(args) {
				t.Fatalf("%d arguments for %s", len(args), text)
			}
		}
		_, _ = parsePath(filter)
	})
}

const plainSQL = `abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _$."()*=<>,;`
