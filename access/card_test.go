package access_test

import (
	"testing"

	"github.com/cardea/cardea/access"
)

// Every format has cards, and the longest number that it may have.
func TestAddCardOfEachFormat(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for format, number := range map[access.CardFormat]string{
		access.CardWiegand26: "65535", access.CardWiegand37: "524287",
		access.CardCSN32: "ffffffff", access.CardCSN56: "ffffffffffffff",
	} {
		in := access.AddCardInput{UserID: b.memberID, Format: format, Number: number}
		if format == access.CardWiegand26 || format == access.CardWiegand37 {
			in.FacilityCode = new(1)
		}
		_, err := b.access.AddCard(b.admin, in)
		if err != nil {
			t.Errorf("%s: %v", format, err)
		}
		in.Number += "0"
		_, err = b.access.AddCard(b.admin, in)
		wantCode(t, err, access.CodeBadUserInput)
	}
}
