package ent

import (
	"reflect"
	"testing"

	"github.com/cardea/cardea/ent/apitoken"
	"github.com/cardea/cardea/ent/application"
	"github.com/cardea/cardea/ent/authorizationcode"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/credential"
	"github.com/cardea/cardea/ent/device"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/identityprovider"
	"github.com/cardea/cardea/ent/key"
	"github.com/cardea/cardea/ent/session"
)

// Two rows of a query share nothing, though they were scanned into the same holders.
func TestRowsShareNothing(t *testing.T) {
	t.Parallel()
	rowsOf(t, (*APIToken).scanValues, (*APIToken).assignValues, apitoken.Columns)
	rowsOf(t, (*Application).scanValues, (*Application).assignValues, application.Columns)
	rowsOf(t, (*AuthorizationCode).scanValues, (*AuthorizationCode).assignValues, authorizationcode.Columns)
	rowsOf(t, (*Command).scanValues, (*Command).assignValues, command.Columns)
	rowsOf(t, (*Credential).scanValues, (*Credential).assignValues, credential.Columns)
	rowsOf(t, (*Device).scanValues, (*Device).assignValues, device.Columns)
	rowsOf(t, (*Event).scanValues, (*Event).assignValues, event.Columns)
	rowsOf(t, (*IdentityProvider).scanValues, (*IdentityProvider).assignValues, identityprovider.Columns)
	rowsOf(t, (*Key).scanValues, (*Key).assignValues, key.Columns)
	rowsOf(t, (*Session).scanValues, (*Session).assignValues, session.Columns)
}

func rowsOf[T any](
	t *testing.T, fresh func(*T, []string) ([]any, error), assign func(*T, []string, []any) error,
	columns []string,
) {
	t.Helper()
	holder := holders(fresh)
	var rows [2]T
	for i := range rows {
		values, err := holder(columns)
		if err != nil {
			t.Fatal(err)
		}
		for _, value := range values {
			if text, ok := value.(*[]byte); ok {
				*text = []byte("null") // which any JSON may be, and any bytes
			}
		}
		if err := assign(&rows[i], columns, values); err != nil {
			t.Fatal(err)
		}
	}
	one, other := reflect.ValueOf(rows[0]), reflect.ValueOf(rows[1])
	for i := range one.NumField() {
		kind := one.Field(i).Kind()
		if (kind == reflect.Pointer || kind == reflect.Slice) && !one.Field(i).IsNil() &&
			one.Field(i).UnsafePointer() == other.Field(i).UnsafePointer() {
			t.Errorf("rows of %T share their %s", rows[0], one.Type().Field(i).Name)
		}
	}
}
