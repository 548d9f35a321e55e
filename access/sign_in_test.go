package access_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/access/seal"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/rule"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/internal/testenv"
)

// entrance is a bench with three nodes, which share a database and secrets, and the letters that they
// send.
type entrance struct {
	*bench
	nodes [3]*access.Service
	mu    sync.Mutex
	post  []access.Letter
}

var fromHere = access.Client{Address: "192.0.2.7", UserAgent: "Browser"}

func setupEntrance(t *testing.T) *entrance {
	t.Helper()
	e := &entrance{bench: setup(t)}
	secrets := seal.Random()
	for i := range e.nodes {
		e.nodes[i] = access.New(access.Config{
			DB: e.db, Secrets: secrets, Now: e.clock.Now, Log: testenv.Logger(t), Send: e.send,
			PublicURL: func() string { return "https://doors.example.com" },
		})
	}
	return e
}

func (e *entrance) send(l access.Letter) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.post = append(e.post, l)
}

// last is the newest letter.
func (e *entrance) last() access.Letter {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.post[len(e.post)-1]
}

// ask asks for a code, and returns the nonce and the code.
func (e *entrance) ask(email string, from access.Client) (nonce, code string) {
	e.t.Helper()
	asked, err := e.nodes[0].SendSignInCode(e.t.Context(), email, from)
	must(e.t, err)
	return asked.Nonce, e.last().Code
}

// otherThan is another code.
func otherThan(code string) string {
	if code == "000000" {
		return "000001"
	}
	return "000000"
}

// elsewhere is a network of its own for each number.
func elsewhere(n int) access.Client {
	return access.Client{Address: fmt.Sprintf("198.51.%d.1", n)}
}

func TestSignInByCode(t *testing.T) {
	t.Parallel()
	e := setupEntrance(t)
	before := e.head()
	nonce, code := e.ask("Night@Example.com", fromHere)
	if l := e.last(); l.To != "night@example.com" || l.Kind != access.LetterSignInCode || len(code) != 6 {
		t.Errorf("sent %+v", l)
	}
	p, err := e.nodes[1].ShowSignInCode(t.Context(), nonce, code, fromHere)
	must(t, err)
	by, err := e.nodes[2].Authenticate(t.Context(), p.SignedIn.Secret)
	must(t, err)
	if by.User != e.memberID || p.Proof != "" || p.SignedIn.Session.Address != "192.0.2.7" {
		t.Errorf("signed in %+v as %+v", p, by)
	}
	rows := e.db.Event.Query().Where(event.SeqGT(before)).AllX(e.system)
	if len(rows) != 1 || rows[0].Type != "session.created" || rows[0].ActorID != e.memberID.String() {
		t.Errorf("events %v", rows)
	}
	_, err = e.nodes[0].ShowSignInCode(t.Context(), nonce, code, fromHere)
	wantCode(t, err, access.CodeUnauthenticated) // once
}

func TestSignInIsRefused(t *testing.T) {
	t.Parallel()
	suspended := user.StatusSUSPENDED
	for name, spoil := range map[string]func(e *entrance, nonce, code *string){
		"another code":  func(_ *entrance, _, code *string) { *code = otherThan(*code) },
		"no code":       func(_ *entrance, _, code *string) { *code = "" },
		"another nonce": func(e *entrance, nonce, _ *string) { *nonce, _ = e.ask("desk@example.com", fromHere) },
		"no nonce":      func(_ *entrance, nonce, _ *string) { *nonce = "" },
		"unknown nonce": func(_ *entrance, nonce, _ *string) { *nonce = "cardeasignin_" + strings.Repeat("0", 36) },
		"later":         func(e *entrance, _, _ *string) { e.clock.Advance(access.CodeWindow) },
		"user suspended": func(e *entrance, _, _ *string) {
			_, err := e.access.UpdateUser(e.admin, access.UpdateUserInput{ID: e.memberID, Status: &suspended})
			must(e.t, err)
		},
		"user deleted": func(e *entrance, _, _ *string) {
			_, err := e.access.DeleteUser(e.admin, access.DeleteUserInput{ID: e.memberID})
			must(e.t, err)
		},
		"sixth try": func(e *entrance, nonce, code *string) {
			for i := range 5 {
				_, err := e.nodes[i%3].ShowSignInCode(e.t.Context(), *nonce, otherThan(*code), elsewhere(i))
				wantCode(e.t, err, access.CodeUnauthenticated)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := setupEntrance(t)
			nonce, code := e.ask("night@example.com", fromHere)
			spoil(e, &nonce, &code)
			_, err := e.nodes[0].ShowSignInCode(t.Context(), nonce, code, fromHere)
			wantCode(t, err, access.CodeUnauthenticated)
		})
	}
}

// Of a thousand guesses over three nodes at once, each code is compared with five at most, and each
// account and each network gets ten.
func TestGuessingOverThreeNodes(t *testing.T) {
	t.Parallel()
	for name, from := range map[string]func(int) access.Client{
		"from one network": func(i int) access.Client {
			return access.Client{Address: fmt.Sprintf("192.0.2.%d", i)}
		},
		"from many networks": elsewhere,
		"from one IPv6 block": func(i int) access.Client {
			return access.Client{Address: fmt.Sprintf("2001:db8::%x", i)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := setupEntrance(t)
			var compared, limited atomic.Int64
			var all sync.WaitGroup
			for round := range 3 {
				asked, err := e.nodes[round].SendSignInCode(t.Context(), "night@example.com", from(0))
				must(t, err)
				code := otherThan(e.last().Code)
				for i := range 20 {
					all.Go(func() {
						_, err := e.nodes[i%3].ShowSignInCode(t.Context(), asked.Nonce, code, from(i))
						switch {
						case access.IsCode(err, access.CodeRateLimited):
							limited.Add(1)
						case access.IsCode(err, access.CodeUnauthenticated):
							compared.Add(1)
						default:
							t.Errorf("got %v", err)
						}
					})
				}
				if round == 0 {
					all.Wait()
				}
				if limited.Load() > 0 {
					break
				}
			}
			all.Wait()
			if n := compared.Load(); n == 0 || n > access.MaxTries-1 || limited.Load() == 0 {
				t.Errorf("%d guesses were taken, %d refused", n, limited.Load())
			}
			everywhere := actor.NewContext(t.Context(), actor.System("test"))
			for _, c := range e.db.SignInCode.Query().AllX(everywhere) {
				if c.Failures > 5 {
					t.Errorf("a code was compared %d times", c.Failures)
				}
			}
			_, err := e.nodes[0].SendSignInCode(t.Context(), "night@example.com", from(0))
			wantCode(t, err, access.CodeRateLimited)
			e.clock.Advance(access.TryWindow)
			e.ask("night@example.com", from(0))
		})
	}
}

// One network's tries count for all accounts; those of a sign-in that succeeded do not.
func TestManySignInsFromOneBuilding(t *testing.T) {
	t.Parallel()
	e := setupEntrance(t)
	for range 2 * access.MaxTries {
		nonce, code := e.ask("night@example.com", fromHere)
		_, err := e.nodes[0].ShowSignInCode(t.Context(), nonce, code, fromHere)
		must(t, err)
	}
	for i := range access.MaxTries {
		e.ask(fmt.Sprintf("nobody-%d@example.com", i), fromHere)
	}
	_, err := e.nodes[0].SendSignInCode(t.Context(), "desk@example.com", fromHere)
	wantCode(t, err, access.CodeRateLimited)
	e.ask("desk@example.com", elsewhere(1))
}

// Who signs in has their own tries forgiven, and nobody else's: or whoever has an account could guess on.
func TestOnlyOwnTriesAreForgiven(t *testing.T) {
	t.Parallel()
	e := setupEntrance(t)
	for i := range access.MaxTries {
		e.ask("desk@example.com", elsewhere(i))
	}
	nonce, code := e.ask("night@example.com", fromHere)
	_, err := e.nodes[1].ShowSignInCode(t.Context(), nonce, code, fromHere)
	must(t, err)
	_, err = e.nodes[2].SendSignInCode(t.Context(), "desk@example.com", elsewhere(11))
	wantCode(t, err, access.CodeRateLimited)
}

// An IPv4 address is one, however it is written; and its network is not all that there is of IPv4.
func TestNetworksHoweverWritten(t *testing.T) {
	t.Parallel()
	e := setupEntrance(t)
	for i := range access.MaxTries {
		from := []string{"192.0.2.%d", "::ffff:192.0.2.%d"}[i%2]
		e.ask(fmt.Sprintf("nobody-%d@example.com", i), access.Client{Address: fmt.Sprintf(from, i)})
	}
	for _, from := range []string{"192.0.2.200", "::ffff:192.0.2.201"} {
		_, err := e.nodes[1].SendSignInCode(t.Context(), "desk@example.com", access.Client{Address: from})
		wantCode(t, err, access.CodeRateLimited)
	}
	e.ask("desk@example.com", access.Client{Address: "::ffff:198.51.100.1"})
}

// For an address that is nobody's, the same statements run, the same is answered, and a letter goes
// nowhere; a guess at its code, even a right one, is like any other.
func TestNobodyLearnsWhoIsKnown(t *testing.T) {
	t.Parallel()
	e := setupEntrance(t)
	nonce, code := e.ask("night@example.com", fromHere)
	unknownNonce, unknownCode := e.ask("nobody@example.com", elsewhere(1))
	if l := e.last(); l.To != "" || len(unknownCode) != len(code) || len(nonce) != len(unknownNonce) {
		t.Errorf("sent %+v", l)
	}
	_, err := e.nodes[0].ShowSignInCode(t.Context(), nonce, otherThan(code), fromHere)
	_, unknown := e.nodes[0].ShowSignInCode(t.Context(), unknownNonce, otherThan(unknownCode), elsewhere(1))
	_, right := e.nodes[0].ShowSignInCode(t.Context(), unknownNonce, unknownCode, elsewhere(1))
	if err == nil || fmt.Sprint(err) != fmt.Sprint(unknown) || fmt.Sprint(err) != fmt.Sprint(right) {
		t.Errorf("answers %v, %v, %v", err, unknown, right)
	}
	for _, bad := range []string{"", "x", "Night <night@example.com>", strings.Repeat("x", 250) + "@example.com"} {
		_, err := e.nodes[0].SendSignInCode(t.Context(), bad, elsewhere(2))
		wantCode(t, err, access.CodeBadUserInput)
	}
}

// The work for an address that is somebody's and for one that is nobody's is the same, statement by
// statement: when a code is asked for, and when another one is shown.
func TestNobodyLearnsByTheWork(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var done []string
	driver := entsql.OpenDB(dialect.Postgres, testenv.OpenSQL(t, testenv.Postgres(t)))
	db := rule.Guard(ent.NewClient(ent.Driver(dialect.Debug(driver, func(v ...any) {
		mu.Lock()
		defer mu.Unlock()
		statement, _, _ := strings.Cut(fmt.Sprint(v...), " args=")
		done = append(done, statement)
	}))))
	b := setupOn(t, db)
	code := ""
	s := access.New(access.Config{DB: db, Log: testenv.Logger(t),
		Send: func(l access.Letter) { code = l.Code }})
	work := func(email string, from access.Client) string {
		done = nil
		asked, err := s.SendSignInCode(t.Context(), email, from)
		must(t, err)
		_, err = s.ShowSignInCode(t.Context(), asked.Nonce, otherThan(code), from)
		wantCode(t, err, access.CodeUnauthenticated)
		return strings.Join(done, "\n")
	}
	known := work("night@example.com", elsewhere(1))
	unknown := work("nobody@example.com", elsewhere(2))
	if known != unknown || strings.Count(known, "\n") < 10 || b.org.IsZero() {
		t.Errorf("for somebody\n%s\nfor nobody\n%s", known, unknown)
	}
}

func TestFailuresAreTold(t *testing.T) {
	t.Parallel()
	e := setupEntrance(t)
	nonce, code := e.ask("night@example.com", fromHere)
	unknown, other := e.ask("nobody@example.com", elsewhere(1))
	before := e.head()
	for range 3 {
		_, err := e.nodes[0].ShowSignInCode(t.Context(), nonce, otherThan(code), fromHere)
		wantCode(t, err, access.CodeUnauthenticated)
	}
	_, err := e.nodes[0].ShowSignInCode(t.Context(), unknown, otherThan(other), elsewhere(1))
	wantCode(t, err, access.CodeUnauthenticated)
	if got := e.events(before); len(got) > 0 {
		t.Errorf("told while somebody waits: %v", got)
	}
	var told, reading sync.WaitGroup
	var reads atomic.Int64
	reading.Add(len(e.nodes))
	e.db.SignInCode.Intercept(ent.InterceptFunc(func(next ent.Querier) ent.Querier {
		return ent.QuerierFunc(func(ctx context.Context, q ent.Query) (ent.Value, error) {
			found, err := next.Query(ctx, q)
			if reads.Add(1) <= int64(len(e.nodes)) {
				reading.Done()
				reading.Wait()
			}
			return found, err
		})
	}))
	for _, node := range e.nodes { // each has read what there is to tell before one of them tells
		told.Go(func() {
			if _, err := node.TellFailedSignIns(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	told.Wait()
	_, err = e.nodes[0].TellFailedSignIns(t.Context())
	must(t, err)
	rows := e.db.Event.Query().Where(event.SeqGT(before)).AllX(e.system)
	if len(rows) != 1 || rows[0].Type != "sign_in.failed" || rows[0].UserID == nil ||
		*rows[0].UserID != e.memberID || !bytes.Contains(rows[0].Data, []byte(`"times": 3`)) {
		t.Fatalf("events %v", rows)
	}
	if bytes.Contains(rows[0].Data, []byte("@")) {
		t.Errorf("an address in %s", rows[0].Data)
	}
	e.clock.Advance(3 * time.Hour)
	n, err := e.nodes[0].ForgetSignIns(t.Context())
	must(t, err)
	if n == 0 || e.db.SignInCode.Query().CountX(actor.NewContext(t.Context(), actor.System("test"))) != 0 {
		t.Errorf("forgot %d", n)
	}
}

func TestPersonOfTwoOrganizations(t *testing.T) {
	t.Parallel()
	e := setupEntrance(t)
	everywhere := actor.NewContext(t.Context(), actor.System("test"))
	other, _, err := e.access.CreateOrganization(everywhere, access.CreateOrganizationInput{
		Name: "Mill", AdminName: "Night shift", AdminEmail: "night@example.com"})
	must(t, err)
	third, _, err := e.access.CreateOrganization(everywhere, access.CreateOrganizationInput{
		Name: "Quay", AdminName: "Front desk", AdminEmail: "quay@example.com"})
	must(t, err)
	nonce, code := e.ask("night@example.com", fromHere)
	p, err := e.nodes[0].ShowSignInCode(t.Context(), nonce, code, fromHere)
	must(t, err)
	if p.SignedIn != nil || len(p.Organizations) != 2 || p.Organizations[0].ID != e.org {
		t.Fatalf("got %+v", p)
	}
	another, _ := e.ask("desk@example.com", elsewhere(1))
	choose := func(nonce, proof string, o int) error {
		_, err := e.nodes[1].ChooseOrganization(t.Context(), nonce, proof, p.Organizations[o].ID, fromHere)
		return err
	}
	wantCode(t, choose(another, p.Proof, 0), access.CodeUnauthenticated)
	wantCode(t, choose(nonce, p.Proof+"A", 0), access.CodeUnauthenticated)
	wantCode(t, choose(nonce, "", 0), access.CodeUnauthenticated)
	_, err = e.nodes[1].ChooseOrganization(t.Context(), nonce, p.Proof, third.ID, fromHere)
	wantCode(t, err, access.CodeUnauthenticated)
	in, err := e.nodes[1].ChooseOrganization(t.Context(), nonce, p.Proof, other.ID, fromHere)
	must(t, err)
	by, err := e.nodes[2].Authenticate(t.Context(), in.Secret)
	must(t, err)
	if by.Organization != other.ID {
		t.Errorf("signed in to %s", by.Organization)
	}
	wantCode(t, choose(nonce, p.Proof, 0), access.CodeUnauthenticated) // once
	nonce, code = e.ask("night@example.com", fromHere)
	p, err = e.nodes[0].ShowSignInCode(t.Context(), nonce, code, fromHere)
	must(t, err)
	e.clock.Advance(access.CodeWindow)
	wantCode(t, choose(nonce, p.Proof, 0), access.CodeUnauthenticated)
}

// Many who show one code at once are one session.
func TestCodeIsGoodOnce(t *testing.T) {
	t.Parallel()
	e := setupEntrance(t)
	nonce, code := e.ask("night@example.com", fromHere)
	var in atomic.Int64
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			if _, err := e.nodes[i%3].ShowSignInCode(t.Context(), nonce, code, elsewhere(i)); err == nil {
				in.Add(1)
			}
		})
	}
	all.Wait()
	if in.Load() != 1 {
		t.Errorf("signed in %d times", in.Load())
	}
}

// Nothing that the database keeps of a sign-in can be read or used.
func TestSignInLeavesNothingToRead(t *testing.T) {
	t.Parallel()
	e := setupEntrance(t)
	nonce, code := e.ask("night@example.com", fromHere)
	everywhere := actor.NewContext(context.WithoutCancel(t.Context()), actor.System("test"))
	row := e.db.SignInCode.Query().OnlyX(everywhere)
	try := e.db.SignInAttempt.Query().OnlyX(everywhere)
	for _, kept := range [][]byte{row.NonceHash, row.CodeHash, row.Email, try.Account} {
		for _, secret := range []string{nonce, code, "night"} {
			if bytes.Contains(kept, []byte(secret)) {
				t.Errorf("%q is kept as %q", secret, kept)
			}
		}
	}
	if try.Network != "192.0.2.0/24" {
		t.Errorf("network %s", try.Network)
	}
}
