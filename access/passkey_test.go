package access_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/session"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/typeid"
)

// inSession is the member, or another user, in a session that they began.
func (e *entrance) inSession(of context.Context) context.Context {
	e.t.Helper()
	by, _ := actor.FromContext(of)
	in, err := e.nodes[0].StartSession(e.system, by.User, session.MethodEMAIL_CODE, fromHere)
	must(e.t, err)
	return actor.NewContext(e.t.Context(), by.WithSession(in.Session.ID))
}

// add gives a user a passkey.
func (e *entrance) add(of context.Context, a *authenticator) *ent.Passkey {
	e.t.Helper()
	of = e.inSession(of)
	q, err := e.nodes[0].AskNewPasskey(of)
	must(e.t, err)
	made, err := e.nodes[1].AddPasskey(of,
		access.AddPasskeyInput{Name: "Phone", Nonce: q.Nonce, Credential: a.create(q)})
	must(e.t, err)
	return made.Passkey
}

// passkey asks somebody for one.
func (e *entrance) passkey(from access.Client) *access.PasskeyQuestion {
	e.t.Helper()
	q, err := e.nodes[0].AskPasskey(e.t.Context(), from)
	must(e.t, err)
	return q
}

func TestSignInByPasskey(t *testing.T) {
	t.Parallel()
	e := setupEntrance(t)
	a, before := newAuthenticator(t), e.head()
	added := e.add(e.member, a)
	if got := strings.Join(e.events(before), " "); got != "session.created passkey.created" {
		t.Errorf("events %s", got)
	}
	before = e.head()
	for range access.MaxTries + 1 { // what succeeds does not count
		q := e.passkey(fromHere)
		in, err := e.nodes[1].ShowPasskey(t.Context(), q.Nonce, a.get(q), fromHere)
		must(t, err)
		by, err := e.nodes[2].Authenticate(t.Context(), in.Secret)
		must(t, err)
		if by.User != e.memberID || in.Session.Method != session.MethodPASSKEY {
			t.Errorf("signed in as %+v by %s", by, in.Session.Method)
		}
	}
	row := e.db.Event.Query().Where(event.SeqGT(before)).Order(event.BySeq()).FirstX(e.system)
	if row.Type != "session.created" || row.ActorID != e.memberID.String() ||
		!strings.Contains(string(row.Data), `"PASSKEY"`) {
		t.Errorf("event %v", row)
	}
	is := e.db.Passkey.GetX(e.system, added.ID)
	if is.SignCount != int64(a.count) || is.LastUsedAt == nil || !is.LastUsedAt.Equal(e.clock.Now()) {
		t.Errorf("kept %v", is)
	}
	_, err := e.nodes[0].DeletePasskey(e.member, access.DeletePasskeyInput{ID: added.ID})
	must(t, err)
	q := e.passkey(fromHere)
	_, err = e.nodes[1].ShowPasskey(t.Context(), q.Nonce, a.get(q), fromHere)
	wantCode(t, err, access.CodeUnauthenticated)
}

// Whatever is wrong with an answer, nobody signs in, one thing is said, and it was the challenge's only
// use. The journal tells whose passkey it was.
func TestPasskeyIsRefused(t *testing.T) {
	t.Parallel()
	suspended := user.StatusSUSPENDED
	type shown struct {
		*authenticator
		*entrance
		q      *access.PasskeyQuestion
		answer []byte
	}
	again := func(s *shown) { s.answer = s.authenticator.get(s.q) }
	for name, is := range map[string]struct {
		spoil func(*shown)
		told  bool // that the user's sign-in failed
	}{
		"another origin": {func(s *shown) {
			s.client["origin"] = "https://doors.example.com.elsewhere.example"
			again(s)
		}, true},
		"a port of the host": {func(s *shown) {
			s.client["origin"] = "https://doors.example.com:8443"
			again(s)
		}, true},
		"plain http": {func(s *shown) { s.client["origin"] = "http://doors.example.com"; again(s) }, true},
		"in a frame of another origin": {func(s *shown) {
			s.client["crossOrigin"], s.client["topOrigin"] = true, "https://elsewhere.example"
			again(s)
		}, true},
		"another relying party": {func(s *shown) { s.rp = "example.com"; again(s) }, true},
		"user not verified":     {func(s *shown) { s.flags &^= verified; again(s) }, true},
		"user not present":      {func(s *shown) { s.flags &^= present; again(s) }, true},
		"may be copied now":     {func(s *shown) { s.flags |= eligible; again(s) }, true},
		"another key":           {func(s *shown) { s.key = newAuthenticator(s.entrance.t).key; again(s) }, true},
		"another's handle": {func(s *shown) {
			raw := s.adminID.UUID()
			s.handle = raw[:]
			again(s)
		}, true},
		"no handle": {func(s *shown) { s.handle = nil; again(s) }, true},
		"another challenge": {func(s *shown) {
			s.answer = s.authenticator.get(s.passkey(fromHere))
		}, true},
		"made, not shown": {func(s *shown) {
			challenge, _ := s.asked(s.q)
			s.answer = s.sign(s.clientData("webauthn.create", challenge))
		}, true},
		"counter as before": {func(s *shown) { s.count = 0; again(s) }, true},
		"counter stopped": {func(s *shown) {
			challenge, _ := s.asked(s.q)
			s.count = 0
			s.answer = s.sign(s.clientData("webauthn.get", challenge))
		}, true},
		"unknown passkey": {func(s *shown) { s.id = []byte("another"); again(s) }, false},
		"another nonce":   {func(s *shown) { s.q = s.passkey(fromHere) }, true},
		"no nonce":        {func(s *shown) { s.q.Nonce = "" }, false},
		"a nonce to add with": {func(s *shown) {
			q, err := s.nodes[0].AskNewPasskey(s.inSession(s.member))
			must(s.entrance.t, err)
			s.q = q
			again(s)
		}, false},
		"later":    {func(s *shown) { s.clock.Advance(access.PasskeyWindow) }, false},
		"no JSON":  {func(s *shown) { s.answer = []byte("x") }, false},
		"nothing":  {func(s *shown) { s.answer = nil }, false},
		"too much": {func(s *shown) { s.answer = append(s.answer, s.answer...) }, false},
		"user suspended": {func(s *shown) {
			_, err := s.access.UpdateUser(s.admin,
				access.UpdateUserInput{ID: s.memberID, Status: &suspended})
			must(s.entrance.t, err)
		}, true},
		"user deleted": {func(s *shown) {
			_, err := s.access.DeleteUser(s.admin, access.DeleteUserInput{ID: s.memberID})
			must(s.entrance.t, err)
		}, false},
		"passkey deleted": {func(s *shown) { s.db.Passkey.Delete().ExecX(s.system) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &shown{authenticator: newAuthenticator(t), entrance: setupEntrance(t)}
			s.add(s.member, s.authenticator)
			first := s.passkey(fromHere)
			_, err := s.nodes[0].ShowPasskey(t.Context(), first.Nonce, s.authenticator.get(first), fromHere)
			must(t, err)
			s.q = s.passkey(fromHere)
			s.answer = s.authenticator.get(s.q)
			is.spoil(s)
			before := s.head()
			in, err := s.nodes[1].ShowPasskey(t.Context(), s.q.Nonce, s.answer, fromHere)
			wantCode(t, err, access.CodeUnauthenticated)
			if in != nil || err == nil || !strings.HasPrefix(err.Error(), "the passkey is not good here") {
				t.Errorf("got %v, %v", in, err)
			}
			told := s.events(before)
			if slices.Contains(told, "session.created") || slices.Contains(told, "sign_in.failed") != is.told {
				t.Errorf("events %v", told)
			}
		})
	}
}

// A counter that does not grow is told as what it may mean.
func TestClonedPasskey(t *testing.T) {
	t.Parallel()
	e := setupEntrance(t)
	a := newAuthenticator(t)
	p := e.add(e.member, a)
	show := func(count uint32) error {
		q := e.passkey(fromHere)
		a.count = count - 1
		_, err := e.nodes[0].ShowPasskey(t.Context(), q.Nonce, a.get(q), fromHere)
		return err
	}
	must(t, show(7))
	before := e.head()
	wantCode(t, show(7), access.CodeUnauthenticated)
	row := e.db.Event.Query().Where(event.SeqGT(before)).OnlyX(e.system)
	want := `{"times": 1, "cloned": true, "method": "PASSKEY", "passkeyId": "` + p.ID.String() + `"}`
	if row.Type != "sign_in.failed" || row.UserID == nil || *row.UserID != e.memberID || string(row.Data) != want {
		t.Errorf("event %v, data %s", row, row.Data)
	}
	must(t, show(8)) // the one that is ahead goes on
}

// What an authenticator has counted before its passkey was added counts.
func TestPasskeyCountsFromItsBeginning(t *testing.T) {
	t.Parallel()
	e := setupEntrance(t)
	a := newAuthenticator(t)
	a.count = 40
	e.add(e.member, a)
	for _, a.count = range []uint32{38, 39} { // one more each time that it is asked
		q := e.passkey(fromHere)
		_, err := e.nodes[1].ShowPasskey(t.Context(), q.Nonce, a.get(q), fromHere)
		wantCode(t, err, access.CodeUnauthenticated)
	}
	q := e.passkey(fromHere)
	_, err := e.nodes[1].ShowPasskey(t.Context(), q.Nonce, a.get(q), fromHere)
	must(t, err)
}

// Authenticators that keep no counter say zero, always.
func TestPasskeyWithoutCounter(t *testing.T) {
	t.Parallel()
	e := setupEntrance(t)
	a := newAuthenticator(t)
	e.add(e.member, a)
	for range 2 {
		q := e.passkey(fromHere)
		challenge, _ := a.asked(q)
		_, err := e.nodes[0].ShowPasskey(t.Context(), q.Nonce,
			a.sign(a.clientData("webauthn.get", challenge)), fromHere)
		must(t, err)
	}
}

// Of many that show one answer at once, on all nodes, one signs in: also by an authenticator that does
// not count, of which every answer has the same counter.
func TestPasskeyAnswersOnce(t *testing.T) {
	t.Parallel()
	e := setupEntrance(t)
	a := newAuthenticator(t)
	e.add(e.member, a)
	q := e.passkey(fromHere)
	challenge, _ := a.asked(q)
	answer := a.sign(a.clientData("webauthn.get", challenge))
	var signedIn atomic.Int32
	var all sync.WaitGroup
	for i := range 9 {
		all.Go(func() {
			_, err := e.nodes[i%3].ShowPasskey(t.Context(), q.Nonce, answer, elsewhere(i))
			if err == nil {
				signedIn.Add(1)
			}
		})
	}
	all.Wait()
	if n := signedIn.Load(); n != 1 {
		t.Errorf("%d signed in by one answer", n)
	}
}

// Ten tries in ten minutes, by passkey and by network, whichever node is asked.
func TestPasskeyTries(t *testing.T) {
	t.Parallel()
	e := setupEntrance(t)
	a := newAuthenticator(t)
	e.add(e.member, a)
	bad := func(i int, from access.Client) error {
		q := e.passkey(elsewhere(100 + i)) // asking counts for its network
		other := *a
		other.key = newAuthenticator(t).key
		_, err := e.nodes[i%3].ShowPasskey(t.Context(), q.Nonce, other.get(q), from)
		return err
	}
	for i := range access.MaxTries {
		wantCode(t, bad(i, elsewhere(i)), access.CodeUnauthenticated)
	}
	wantCode(t, bad(11, elsewhere(11)), access.CodeRateLimited)
	e.clock.Advance(access.TryWindow)
	wantCode(t, bad(12, elsewhere(12)), access.CodeUnauthenticated)
	for range access.MaxTries {
		e.passkey(fromHere)
	}
	_, err := e.nodes[2].AskPasskey(t.Context(), fromHere)
	wantCode(t, err, access.CodeRateLimited)
}

func TestAddPasskeyIsRefused(t *testing.T) {
	t.Parallel()
	e := setupEntrance(t)
	known := newAuthenticator(t)
	e.add(e.admin, known)
	admin := e.inSession(e.admin)
	for name, is := range map[string]struct {
		spoil func(a *authenticator, in *access.AddPasskeyInput)
		as    context.Context //nolint:containedctx // who adds it; nil: who asked
		code  access.Code
	}{
		"without a session": {as: e.member, code: access.CodeForbidden},
		"by an API token": {as: actor.NewContext(t.Context(),
			actor.Token(e.org, typeid.New[typeid.APIToken](), e.memberID, actor.RoleMember)),
			code: access.CodeForbidden},
		"for another user": {as: admin, code: access.CodeUnauthenticated},
		"without a name": {spoil: func(_ *authenticator, in *access.AddPasskeyInput) {
			in.Name = ""
		}, code: access.CodeBadUserInput},
		"later": {spoil: func(*authenticator, *access.AddPasskeyInput) {
			e.clock.Advance(access.PasskeyWindow)
		}, code: access.CodeUnauthenticated},
		"for whoever signs in": {spoil: func(a *authenticator, in *access.AddPasskeyInput) {
			q := e.passkey(fromHere)
			a.handle = nil
			in.Nonce, in.Credential = q.Nonce, a.create(q)
		}, code: access.CodeUnauthenticated},
		"no JSON": {spoil: func(_ *authenticator, in *access.AddPasskeyInput) {
			in.Credential = []byte("{}")
		}, code: access.CodeUnauthenticated},
		"another origin": {spoil: func(a *authenticator, _ *access.AddPasskeyInput) {
			a.client["origin"] = "https://elsewhere.example"
		}, code: access.CodeUnauthenticated},
		"another relying party": {spoil: func(a *authenticator, _ *access.AddPasskeyInput) {
			a.rp = "elsewhere.example"
		}, code: access.CodeUnauthenticated},
		"user not verified": {spoil: func(a *authenticator, _ *access.AddPasskeyInput) {
			a.flags &^= verified
		}, code: access.CodeUnauthenticated},
		"known as another's": {spoil: func(a *authenticator, _ *access.AddPasskeyInput) {
			a.id = known.id
		}, code: access.CodeConflict},
	} {
		of := e.inSession(e.member)
		q, err := e.nodes[0].AskNewPasskey(of)
		must(t, err)
		a, in := newAuthenticator(t), access.AddPasskeyInput{Name: "Phone", Nonce: q.Nonce}
		if is.spoil != nil {
			is.spoil(a, &in)
		}
		if is.as != nil {
			of = is.as
		}
		if in.Credential == nil {
			in.Credential = a.create(q)
		}
		before := e.head()
		_, err = e.nodes[1].AddPasskey(of, in)
		if !access.IsCode(err, is.code) || len(e.events(before)) > 0 {
			t.Errorf("%s: %v, events %v", name, err, e.events(before))
		}
	}
	member := e.inSession(e.member)
	q, err := e.nodes[0].AskNewPasskey(member)
	must(t, err)
	in := access.AddPasskeyInput{Name: "Phone", Nonce: q.Nonce, Credential: newAuthenticator(t).create(q)}
	_, err = e.nodes[0].AddPasskey(member, in)
	must(t, err)
	_, err = e.nodes[0].AddPasskey(member, in)
	wantCode(t, err, access.CodeUnauthenticated) // once
	for range access.MaxPasskeys - 1 {
		e.add(e.member, newAuthenticator(t))
	}
	if q, err = e.nodes[0].AskNewPasskey(member); err != nil {
		t.Fatal(err)
	}
	in.Nonce, in.Credential = q.Nonce, newAuthenticator(t).create(q)
	_, err = e.nodes[0].AddPasskey(member, in)
	wantCode(t, err, access.CodeConflict)
}

// An administrator deletes no passkey of an owner's.
func TestPasskeysOfOwners(t *testing.T) {
	t.Parallel()
	e := setupEntrance(t)
	p, role := e.add(e.admin, newAuthenticator(t)), actor.RoleAdmin
	made, err := e.nodes[0].CreateUser(e.admin, access.CreateUserInput{
		Name: "Day shift", Email: "day@example.com", Role: &role})
	must(t, err)
	deputy := actor.NewContext(t.Context(), actor.User(e.org, made.User.ID, role))
	_, err = e.nodes[1].DeletePasskey(deputy, access.DeletePasskeyInput{ID: p.ID})
	wantCode(t, err, access.CodeForbidden)
	_, err = e.nodes[1].DeletePasskey(e.admin, access.DeletePasskeyInput{ID: p.ID})
	must(t, err)
}

// Where people reach an address, and not a name, browsers have no passkeys.
func TestPasskeysNeedAName(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for url, want := range map[string]bool{
		"": false, "http://127.0.0.1:8080": false, "https://[2001:db8::1]": false,
		"http://localhost:8080": true, "https://doors.example.com": true,
	} {
		s := access.New(access.Config{DB: b.db, PublicURL: func() string { return url }})
		if got := s.OffersPasskeys(); got != want {
			t.Errorf("%s: %t", url, got)
		}
	}
	_, err := b.access.AskPasskey(t.Context(), fromHere)
	wantCode(t, err, access.CodeConflict)
}
