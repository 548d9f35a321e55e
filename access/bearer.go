package access

import (
	"context"
	"fmt"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/lib/pq"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/apitoken"
	"github.com/cardea/cardea/ent/session"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/together"
)

// bearers finds tokens, or sessions, by the hashes of their secrets: those of requests that come at the
// same time by one statement, each after its request came. So nothing is remembered of a token, and one
// that was revoked is refused from the commit on.
type bearers[T any] struct {
	*together.Fetches[struct{}, string, bearer[T]]
}

// bearer is what a secret belongs to, with what decides about the user that it acts for.
type bearer[T any] struct {
	is     T
	found  bool
	role   actor.Role
	status user.Status
}

// bearersBy finds by what reads those of some hashes.
func bearersBy[T any](
	read func(ctx context.Context, hashes [][]byte) (map[string]bearer[T], error),
) bearers[T] {
	return bearers[T]{together.New[struct{}](func(
		ctx context.Context, keys []string,
	) (map[string]bearer[T], error) {
		hashes := make([][]byte, len(keys))
		for i, key := range keys {
			hashes[i] = []byte(key)
		}
		return read(ctx, hashes)
	})}
}

// of is whose a hash is; not found if nobody's.
func (b bearers[T]) of(ctx context.Context, hash []byte) (bearer[T], error) {
	found, err := b.Get(ctx, struct{}{}, []string{string(hash)})
	return found[string(hash)], err
}

// mayAct says that there is one, and that its user is not suspended.
func (b bearer[T]) mayAct() bool { return b.found && b.status == user.StatusACTIVE }

// tokensBy reads tokens by secrets that are good, or were good before a rotation that is not yet over.
func (s *Service) tokensBy(
	ctx context.Context, hashes [][]byte,
) (map[string]bearer[*ent.APIToken], error) {
	now := s.now()
	rows, err := s.reserve.APIToken.Query().Where(apitoken.Or(anyHash(apitoken.FieldHash, hashes),
		apitoken.And(anyHash(apitoken.FieldPreviousHash, hashes), apitoken.PreviousUntilGT(now)))).
		Modify(withUser).All(ctx)
	if err != nil {
		return nil, err
	}
	found := make(map[string]bearer[*ent.APIToken], len(hashes))
	for _, row := range rows {
		by, err := bearerOf(row)
		if err != nil {
			return nil, err
		}
		found[string(row.Hash)] = by
		if row.PreviousHash != nil && orZero(row.PreviousUntil).After(now) {
			found[string(*row.PreviousHash)] = by
		}
	}
	return found, nil
}

func (s *Service) sessionsBy(
	ctx context.Context, hashes [][]byte,
) (map[string]bearer[*ent.Session], error) {
	rows, err := s.reserve.Session.Query().Where(anyHash(session.FieldHash, hashes), s.Running()).
		Modify(withUser).All(ctx)
	if err != nil {
		return nil, err
	}
	found := make(map[string]bearer[*ent.Session], len(hashes))
	for _, row := range rows {
		if found[string(row.Hash)], err = bearerOf(row); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func anyHash(column string, hashes [][]byte) func(*entsql.Selector) {
	return func(q *entsql.Selector) {
		q.Where(entsql.P(func(b *entsql.Builder) {
			b.Ident(q.C(column)).WriteString(" = ANY (").Arg(pq.ByteaArray(hashes)).WriteByte(')')
		}))
	}
}

// What withUser adds to a row.
const (
	userRole   = "user_role"
	userStatus = "user_status"
)

// withUser adds to tokens, or sessions, what decides about their users.
func withUser(q *entsql.Selector) {
	of := entsql.Table(user.Table).As("whose")
	q.Join(of).OnP(entsql.And(
		entsql.ColumnsEQ(q.C("org_id"), of.C(user.FieldOrgID)),
		entsql.ColumnsEQ(q.C("user_id"), of.C(user.FieldID))))
	q.AppendSelectAs(of.C(user.FieldRole), userRole)
	q.AppendSelectAs(of.C(user.FieldStatus), userStatus)
}

// row is a noun of Ent, with columns that were added to it.
type row interface {
	Value(string) (ent.Value, error)
}

func bearerOf[T row](of T) (bearer[T], error) {
	b := bearer[T]{is: of, found: true}
	role, err := textIn(of, userRole)
	if err != nil {
		return b, err
	}
	status, err := textIn(of, userStatus)
	b.role, b.status = actor.Role(role), user.Status(status)
	return b, err
}

// textIn is what a column holds that was added to a row.
func textIn(of row, column string) (string, error) {
	v, err := of.Value(column)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", column, err)
	}
	switch v := v.(type) {
	case string:
		return v, nil
	case []byte:
		return string(v), nil
	case *entsql.NullString:
		return v.String, nil
	}
	return "", fmt.Errorf("read %s: it is a %T", column, v)
}
