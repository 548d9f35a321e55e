package access

import (
	"context"
	"errors"
	"fmt"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/identityrequest"
	"github.com/cardea/cardea/ent/passkeychallenge"
	"github.com/cardea/cardea/ent/signinattempt"
	"github.com/cardea/cardea/ent/signincode"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/journal"
)

// codesKept is how long a code is kept that is of no use any more, so that its failures are told.
const codesKept = time.Hour

// failedAtOnce is how many codes one sweep tells of.
const failedAtOnce = 100

// TellFailedSignIns journals wrong codes, for each user that they might have been meant for, and
// returns how many. It does so behind the back of whoever typed them: to journal takes time, and only
// for an address that is somebody's, which would tell which are.
func (s *Service) TellFailedSignIns(ctx context.Context) (told int, err error) {
	ctx = actor.NewContext(ctx, actor.System("sign-in"))
	failed, err := s.db.SignInCode.Query().
		Where(func(q *sql.Selector) {
			q.Where(sql.ColumnsLT(q.C(signincode.FieldTold), q.C(signincode.FieldFailures)))
		}).
		Order(signincode.ByID()).Limit(failedAtOnce).All(ctx)
	if err != nil {
		return 0, fmt.Errorf("load failures: %w", err)
	}
	var faults []error
	for _, one := range failed {
		n, err := s.tellFailed(ctx, one)
		told, faults = told+n, append(faults, err)
	}
	return told, errors.Join(faults...)
}

// tellFailed journals the failures of one code. The first journal that is told decides, with the count
// that was told, between two nodes that tell at once.
func (s *Service) tellFailed(
	everywhere context.Context, failed *ent.SignInCode,
) (told int, err error) {
	claim := func(db *ent.SignInCodeClient) (bool, error) {
		n, err := db.Update().Where(signincode.ID(failed.ID), signincode.Told(failed.Told)).
			SetTold(failed.Failures).Save(everywhere)
		return n == 1, err
	}
	email, err := s.secrets.Open(nowhereYet, domainEmail, failed.Email)
	var people []*ent.User
	if err == nil {
		people, err = s.db.User.Query().Where(user.Email(string(email))).Order(user.ByID()).
			All(everywhere)
	} else { // by secrets that are gone
		err = nil
	}
	if err != nil {
		return 0, fmt.Errorf("find users: %w", err)
	}
	if len(people) == 0 {
		_, err := claim(s.db.SignInCode)
		return 0, err
	}
	happened := dataOf(map[string]any{
		"method": "EMAIL_CODE", "times": failed.Failures - failed.Told,
	})
	for i, u := range people {
		ctx := actor.NewContext(everywhere, actor.System("sign-in").Within(u.OrgID))
		mine := true
		err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
			if i == 0 {
				if mine, err = claim(tx.SignInCode); !mine {
					return nil, err
				}
			}
			return []journal.Event{{Type: "sign_in.failed", User: u.ID, Data: happened}}, nil
		})
		if err != nil || !mine {
			return told, err
		}
		told++
	}
	return told, nil
}

// ForgetSignIns deletes the codes, challenges and tries that are of no use any more, and returns how many.
func (s *Service) ForgetSignIns(ctx context.Context) (int, error) {
	ctx = actor.NewContext(ctx, actor.System("sign-in"))
	codes, err := s.db.SignInCode.Delete().
		Where(signincode.ExpiresAtLT(s.now().Add(-codesKept))).Exec(ctx)
	if err != nil {
		return 0, fmt.Errorf("forget codes: %w", err)
	}
	challenges, err := s.db.PasskeyChallenge.Delete().
		Where(passkeychallenge.ExpiresAtLT(s.now())).Exec(ctx)
	if err != nil {
		return codes, fmt.Errorf("forget challenges: %w", err)
	}
	requests, err := s.db.IdentityRequest.Delete().
		Where(identityrequest.ExpiresAtLT(s.now())).Exec(ctx)
	if err != nil {
		return codes + challenges, fmt.Errorf("forget requests: %w", err)
	}
	challenges += requests
	tries, err := s.db.SignInAttempt.Delete().
		Where(signinattempt.AtLT(s.now().Add(-TryWindow))).Exec(ctx)
	if err != nil {
		return codes + challenges, fmt.Errorf("forget tries: %w", err)
	}
	return codes + challenges + tries, nil
}
