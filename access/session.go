package access

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/predicate"
	"github.com/cardea/cardea/ent/session"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// How long a session is good: from its beginning, and from when it was last used.
const (
	MaxSession     = 90 * 24 * time.Hour
	MaxIdleSession = 14 * 24 * time.Hour
)

// maxUserAgent is how much is kept of what a browser calls itself, in bytes.
const maxUserAgent = 300

// Client is who asks for a sign-in, as far as the connection tells.
type Client struct {
	Address   string // of the network, or ""
	UserAgent string
}

// SignedIn is a session that has just begun. Its secret is shown this once.
type SignedIn struct {
	Session *ent.Session
	User    *ent.User
	Secret  string
}

// StartSession signs a user in who has proved who they are. Only a system actor within the user's
// organization may: whoever calls vouches for the proof. It fails with NOT_FOUND if there is no such
// user, if they may not do anything, or if they have to sign in through a provider.
func (s *Service) StartSession(
	ctx context.Context, id typeid.User, method session.Method, from Client,
) (*SignedIn, error) {
	if by, _ := actor.FromContext(ctx); by.Kind != actor.KindSystem || by.Everywhere() {
		return nil, errForbidden
	}
	var in *SignedIn
	err := s.write(ctx, func(tx *ent.Tx) (events []journal.Event, err error) {
		in, events, err = s.startSession(ctx, tx, id, proof{method: method}, from)
		return events, err
	})
	if err != nil {
		return nil, err
	}
	return in, nil
}

// proof is how somebody proved who they are.
type proof struct {
	method  session.Method
	account []byte        // keyed hash of the e-mail address that they proved to have; nil: none
	known   *ent.Identity // as whom a provider knows them; nil: none said so
	until   time.Time     // when it is of no worth any more; zero: as long as a session can be
}

// startSession is StartSession within a transaction. It holds the user, so that a suspension either
// prevents the session or ends it, and likewise how people may sign in.
func (s *Service) startSession(
	ctx context.Context, tx *ent.Tx, id typeid.User, by proof, from Client,
) (*SignedIn, []journal.Event, error) {
	if err := signInRules(ctx, tx, shared); err != nil {
		return nil, nil, err
	}
	u, err := tx.User.Query().Where(user.ID(id), user.StatusEQ(user.StatusACTIVE)).ForShare().
		Only(ctx)
	if err != nil {
		return nil, nil, found(err, "user", "")
	}
	var at typeid.IdentityProvider
	var known *typeid.Identity
	if by.known != nil {
		at, known = by.known.ProviderID, &by.known.ID
	}
	no, err := barred(ctx, tx.Client(), at, u)
	if err != nil {
		return nil, nil, err
	}
	if no[u.ID] {
		return nil, nil, notFound("user", "")
	}
	now, secret := s.now(), newSecret(sessionPrefix)
	if by.until.IsZero() {
		by.until = now.Add(MaxSession)
	}
	made, err := tx.Session.Create().SetUserID(id).SetHash(hashSecret(secret)).SetMethod(by.method).
		SetAccount(by.account).SetNillableIdentityID(known).SetCreatedAt(now).SetLastSeenAt(now).SetExpiresAt(by.until).
		SetAddress(clip(from.Address, 45)).SetUserAgent(clip(from.UserAgent, maxUserAgent)).Save(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("create session: %w", err)
	}
	began := sessionEvent("session.created", made)
	began.Data = dataOf(map[string]any{"sessionId": made.ID, "method": made.Method})
	return &SignedIn{made, u, secret}, []journal.Event{began}, nil
}

// EndSessionInput names a session.
type EndSessionInput struct{ ID typeid.Session }

// EndSessionPayload holds the session as it is now.
type EndSessionPayload struct{ Session *ent.Session }

// EndSession signs out a browser or an app. Ending it again changes nothing and is no error.
func (s *Service) EndSession(
	ctx context.Context, in EndSessionInput,
) (*EndSessionPayload, error) {
	visible, err := sessionsFor(ctx, WriteSessions)
	if err != nil {
		return nil, err
	}
	var ended *ent.Session
	err = s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		ended, err = tx.Session.Query().Where(session.ID(in.ID), visible, forChange).Only(ctx)
		if err != nil || ended.EndedAt != nil {
			return nil, found(err, "session", "id")
		}
		if err := mayActOn(ctx, tx, ended.UserID); err != nil {
			return nil, err
		}
		if ended, err = tx.Session.UpdateOne(ended).SetEndedAt(s.now()).Save(ctx); err != nil {
			return nil, err
		}
		return []journal.Event{sessionEvent("session.ended", ended)}, nil
	})
	if err != nil {
		return nil, err
	}
	return &EndSessionPayload{ended}, nil
}

// EndOtherSessionsInput says whose sessions to end.
type EndOtherSessionsInput struct {
	UserID *typeid.User // nil: the actor's own
}

// EndOtherSessionsPayload names the sessions that were ended.
type EndOtherSessionsPayload struct{ EndedIDs []typeid.Session }

// EndOtherSessions signs a user out everywhere, but for the session that the actor acts through.
// Members sign themselves out only.
func (s *Service) EndOtherSessions(
	ctx context.Context, in EndOtherSessionsInput,
) (*EndOtherSessionsPayload, error) {
	reached, err := reach(ctx, WriteSessions)
	if err != nil {
		return nil, err
	}
	by, _ := actor.FromContext(ctx)
	of := by.User
	if in.UserID != nil {
		of = *in.UserID
	}
	if reached == own && of != by.User {
		return nil, notFound("user", "userId")
	}
	which := []predicate.Session{session.UserID(of)}
	if !by.Session.IsZero() { // nothing differs from NULL
		which = append(which, session.IDNEQ(by.Session))
	}
	var ended []typeid.Session
	err = s.write(ctx, func(tx *ent.Tx) (events []journal.Event, err error) {
		if _, err := tx.User.Query().Where(user.ID(of)).Only(ctx); err != nil {
			return nil, found(err, "user", "userId")
		}
		if err := mayActOn(ctx, tx, of); err != nil {
			return nil, err
		}
		ended, events, err = s.endSessions(ctx, tx, which...)
		return events, err
	})
	if err != nil {
		return nil, err
	}
	return &EndOtherSessionsPayload{ended}, nil
}

// endSessions ends those that are running, and tells of each.
func (s *Service) endSessions(
	ctx context.Context, tx *ent.Tx, which ...predicate.Session,
) (ended []typeid.Session, events []journal.Event, err error) {
	running, err := tx.Session.Query().Where(which...).Where(s.Running(), forChange).
		Order(session.ByID()).All(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("lock sessions: %w", err)
	}
	ended = make([]typeid.Session, len(running))
	for i, one := range running {
		ended[i], events = one.ID, append(events, sessionEvent("session.ended", one))
	}
	if len(ended) == 0 {
		return ended, nil, nil
	}
	err = tx.Session.Update().SetEndedAt(s.now()).
		Where(whose(session.FieldID, ended)).Exec(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("end sessions: %w", err)
	}
	return ended, events, nil
}

// Running is true of sessions that are still good, if their user is.
func (s *Service) Running() predicate.Session {
	now := s.now()
	return session.And(session.EndedAtIsNil(), session.ExpiresAtGT(now),
		session.LastSeenAtGT(now.Add(-MaxIdleSession)))
}

func sessionEvent(kind string, of *ent.Session) journal.Event {
	return journal.Event{Type: kind, User: of.UserID, Data: data("sessionId", of.ID)}
}

// authenticateSession is Authenticate for the secret of a session.
func (s *Service) authenticateSession(ctx context.Context, secret string) (actor.Actor, error) {
	by, err := s.sessions.of(ctx, hashSecret(secret))
	if err != nil {
		return actor.Actor{}, fmt.Errorf("load session: %w", err)
	}
	if !by.mayAct() {
		return actor.Actor{}, errUnauthenticated
	}
	one := by.is
	if now := s.now(); now.Sub(one.LastSeenAt) >= lastUsedStep {
		err := s.reserve.Session.Update().SetLastSeenAt(now).
			Where(session.ID(one.ID), session.LastSeenAtLT(now)).Exec(ctx)
		if err != nil {
			return actor.Actor{}, fmt.Errorf("note use of session: %w", err)
		}
	}
	return s.as(ctx, actor.User(one.OrgID, one.UserID, by.role).WithSession(one.ID).Ending(one.ExpiresAt))
}

// clip is the beginning of a text from outside, as valid UTF-8 of at most so many bytes, that Postgres
// can keep.
func clip(text string, limit int) string {
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "")
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
