package access

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/predicate"
	"github.com/cardea/cardea/ent/signinattempt"
	"github.com/cardea/cardea/typeid"
)

// How often may be tried what can be guessed: by one account, and from one network.
const (
	MaxTries   = 10
	TryWindow  = 10 * time.Minute
	networkIP4 = 24
	networkIP6 = 64
)

var errRateLimited = Error{CodeRateLimited, "too many tries: wait ten minutes", ""}

// signInTry is a try that is about to be made: to sign in, to claim a device's place, or a PIN.
type signInTry struct {
	accounts [][]byte // keyed hashes of whose it is, the newest key's first
	network  string   // with what is tried, but for signing in: each is counted by itself
	of       [16]byte // the code, or what else was asked, that it is a try of
}

// try counts a try, or refuses it with RATE_LIMITED. It holds over all nodes: a try is written down
// before it is counted, so of many at once the tenth at most finds ten. Who is refused already is not
// written down again: hammering neither fills the table nor puts off the end.
func (s *Service) try(ctx context.Context, a signInTry) error {
	if err := s.mayTry(ctx, a, MaxTries-1); err != nil {
		return err
	}
	err := s.db.SignInAttempt.Create().SetAt(s.now()).SetAccount(a.accounts[0]).SetNetwork(a.network).
		SetCode(a.of).Exec(ctx)
	if err != nil {
		return fmt.Errorf("note try: %w", err)
	}
	return s.mayTry(ctx, a, MaxTries)
}

// mayTry fails with RATE_LIMITED if there are more tries than so many.
func (s *Service) mayTry(ctx context.Context, a signInTry, limit int) error {
	byAccount := func(q *sql.Selector) {
		q.Where(sql.Or(equals(q.C(signinattempt.FieldAccount), a.accounts)...))
	}
	for _, of := range []predicate.SignInAttempt{byAccount, signinattempt.Network(a.network)} {
		n, err := s.db.SignInAttempt.Query().
			Where(of, signinattempt.AtGT(s.now().Add(-TryWindow))).Count(ctx)
		if err != nil {
			return fmt.Errorf("count tries: %w", err)
		}
		if n > limit {
			return errRateLimited
		}
	}
	return nil
}

// forgive forgets the tries of what was right in the end, so that many who sign in from one building
// do not keep each other out.
func (s *Service) forgive(ctx context.Context, of [16]byte) error {
	_, err := s.db.SignInAttempt.Delete().Where(signinattempt.Code(of)).Exec(ctx)
	if err != nil {
		return fmt.Errorf("forgive tries: %w", err)
	}
	return nil
}

// What is tried, beside signing in.
const (
	domainClaim  = "claim serial"
	domainKeypad = "keypad"
)

// claiming is a try at a claim code: its account is the device that says so by its serial number.
func (s *Service) claiming(ctx context.Context, serial string) signInTry {
	return signInTry{
		s.secrets.Indexes(nowhereYet, domainClaim, []byte(serial)),
		"claim " + neighbours(actor.Address(ctx).String()), typeid.New[typeid.SignInAttempt]().UUID(),
	}
}

// typing is a try at a PIN: its account is the keypad. Where it is not known from where it comes, it
// counts for the keypad alone.
func (s *Service) typing(ctx context.Context, keypad typeid.Door) signInTry {
	from := keypad.String()
	if address := actor.Address(ctx); address.IsValid() {
		from = neighbours(address.String())
	}
	by, _ := actor.FromContext(ctx)
	return signInTry{
		s.secrets.Indexes(by.Organization, domainKeypad, []byte(keypad.String())),
		"pin " + from, typeid.New[typeid.SignInAttempt]().UUID(),
	}
}

func equals(column string, values [][]byte) []*sql.Predicate {
	all := make([]*sql.Predicate, len(values))
	for i, value := range values {
		all[i] = sql.EQ(column, value)
	}
	return all
}

// neighbours is what one person can come from with many addresses: a /24 of IPv4, a /64 of IPv6.
func neighbours(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return clip(address, 45)
	}
	ip = ip.Unmap().WithZone("")
	bits := networkIP6
	if ip.Is4() {
		bits = networkIP4
	}
	return netip.PrefixFrom(ip, bits).Masked().String()
}
