package access_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/typeid"
)

// BenchmarkTiming compares what an answer takes that must not tell whether something exists: of two
// questions that take turns, the medians and their difference.
//
//	make bench-timing
func BenchmarkTiming(b *testing.B) {
	db := testenv.Client(b)
	at := time.Now()
	s := access.New(access.Config{DB: db, Log: testenv.Logger(b), Now: func() time.Time { return at }})
	system := actor.NewContext(b.Context(), actor.System("bench"))
	org := db.Organization.Create().SetID(typeid.New[typeid.Organization]()).SetName("Harbour").SaveX(system)
	ctx := actor.NewContext(b.Context(), actor.System("bench").Within(org.ID))
	db.JournalHead.Create().SetID(org.ID).ExecX(ctx)
	desk := db.User.Create().SetName("Front desk").SetEmail("desk@example.com").
		SetRole(actor.RoleAdmin).SaveX(ctx)
	admin := actor.NewContext(b.Context(), actor.User(org.ID, desk.ID, actor.RoleAdmin))
	made := func() *access.CreateAPITokenPayload {
		p, err := s.CreateAPIToken(admin, access.CreateAPITokenInput{Name: "CI"})
		if err != nil {
			b.Fatal(err)
		}
		return p
	}
	revoked, removed := made(), made()
	_, err := s.RevokeAPIToken(admin, access.RevokeAPITokenInput{ID: revoked.Token.ID})
	if err != nil {
		b.Fatal(err)
	}
	db.APIToken.DeleteOneID(removed.Token.ID).ExecX(ctx)

	ask := func(email string) func(int) error {
		return func(n int) error {
			_, err := s.SendSignInCode(b.Context(), email, from(n))
			return err
		}
	}
	authenticate := func(secret string) func(int) error {
		return func(int) error {
			if _, err := s.Authenticate(b.Context(), secret); !access.IsCode(err, access.CodeUnauthenticated) {
				return fmt.Errorf("got %w", err)
			}
			return nil
		}
	}
	for name, pair := range map[string][2]func(int) error{
		"sign-in, known and unknown e-mail": {ask("desk@example.com"), ask("nobody@example.com")},
		"token, revoked and unknown":        {authenticate(revoked.Secret), authenticate(removed.Secret)},
	} {
		b.Run(name, func(b *testing.B) {
			var took [2][]time.Duration
			for n := 0; b.Loop(); n++ {
				at = at.Add(2 * access.TryWindow) // no try counts for the next
				for i := range pair {
					which := (n + i) % 2
					begun := time.Now()
					if err := pair[which](n); err != nil {
						b.Fatal(err)
					}
					took[which] = append(took[which], time.Since(begun))
				}
				if n%500 == 0 {
					forget(b.Context(), b, s)
				}
			}
			slices.Sort(took[0])
			slices.Sort(took[1])
			one, other := took[0][len(took[0])/2], took[1][len(took[1])/2]
			b.ReportMetric(float64(one.Microseconds()), "first-µs")
			b.ReportMetric(float64(other.Microseconds()), "second-µs")
			b.ReportMetric(float64((one - other).Abs().Microseconds()), "apart-µs")
		})
	}
}

func forget(ctx context.Context, b *testing.B, s *access.Service) {
	b.Helper()
	if _, err := s.ForgetSignIns(ctx); err != nil {
		b.Fatal(err)
	}
}

// from is a network of its own for each number.
func from(n int) access.Client {
	return access.Client{Address: fmt.Sprintf("198.%d.%d.7", 18+n/256%2, n%256)}
}
