package portal_test

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/portal"
	"github.com/cardea/cardea/stream"
	"github.com/cardea/cardea/typeid"
)

// world is a node's pages over a database and a Redis of its own, with a gate that a device drives.
type world struct {
	t      *testing.T
	db     *ent.Client
	access *access.Service
	url    string
	public string          // what the configuration calls it
	admin  context.Context //nolint:containedctx // who grants
	org    typeid.Organization
	site   *ent.Site
	gate   *ent.Door
	key    *ent.Key
	device *device
}

// device stands where devicelink stands: it does with a command what act says.
type device struct {
	access  *access.Service
	act     func(ctx context.Context, d access.Dispatch) error
	running sync.WaitGroup
}

func (h *device) Dispatch(ctx context.Context, d access.Dispatch) error {
	return h.act(context.WithoutCancel(ctx), d)
}
func (*device) Configure(context.Context, typeid.Device) error  { return nil }
func (*device) Renew(context.Context, typeid.Device) error      { return nil }
func (*device) Disconnect(context.Context, typeid.Device) error { return nil }

func setup(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, db: testenv.Client(t), device: &device{}}
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	t.Cleanup(func() { w.device.running.Wait(); cancel(); parts.Wait() })
	redis, namespace := testenv.Redis(t)
	log := testenv.Logger(t)
	live, err := stream.Open(ctx, stream.Config{URL: redis, Namespace: namespace, Node: "here", Log: log})
	must(t, err)
	t.Cleanup(func() { _ = live.Close() })
	record := journal.Open(w.db)
	relay, hub := stream.NewRelay(live, record), stream.NewHub(live, record, stream.HubConfig{})
	publicURL := func() string { return w.public }
	w.access = access.New(access.Config{
		DB: w.db, Devices: w.device, Committed: relay.Offer, PublicURL: publicURL, Log: log,
	})
	w.device.access, w.device.act = w.access, w.confirm
	parts.Go(func() { _ = relay.Run(ctx) })
	parts.Go(func() { _ = hub.Run(ctx) })
	server := httptest.NewServer(portal.New(portal.Config{
		Access: w.access, DB: w.db, Hub: hub, PublicURL: publicURL, Log: log,
	}))
	t.Cleanup(server.Close)
	w.url, w.public = server.URL, server.URL
	w.furnish()
	return w
}

// furnish makes a site with a gate, and a member with a key that they may share.
func (w *world) furnish() {
	w.t.Helper()
	everywhere := actor.NewContext(w.t.Context(), actor.System("test"))
	org, desk, err := w.access.CreateOrganization(everywhere, access.CreateOrganizationInput{
		Name: "Harbour House", AdminName: "Front desk", AdminEmail: "desk@example.com"})
	must(w.t, err)
	w.org = org.ID
	w.admin = actor.NewContext(w.t.Context(), actor.User(org.ID, desk.ID, actor.RoleAdmin))
	site, err := w.access.CreateSite(w.admin,
		access.CreateSiteInput{Name: "Quay", TimeZone: "Europe/Rome"})
	must(w.t, err)
	panel, err := w.access.CreateDevice(w.admin,
		access.CreateDeviceInput{SiteID: site.Site.ID, Name: "Panel"})
	must(w.t, err)
	gate, err := w.access.CreateDoor(w.admin,
		access.CreateDoorInput{SiteID: site.Site.ID, Name: "Gate <1>"})
	must(w.t, err)
	bound, err := w.access.BindDoor(w.admin, access.BindDoorInput{
		DoorID: gate.Door.ID, DeviceID: panel.Device.ID, Port: 1})
	must(w.t, err)
	w.site, w.gate = site.Site, bound.Door
	granted, err := w.access.GrantKey(w.admin, access.GrantKeyInput{
		UserID: desk.ID, SiteID: &w.site.ID, Shares: new(int)})
	must(w.t, err)
	w.key = w.db.Key.UpdateOne(granted.Key).SetSharesLeft(100).SaveX(w.admin)
}

// confirm has the device report that the gate is unlocked.
func (w *world) confirm(_ context.Context, d access.Dispatch) error {
	w.device.running.Go(func() {
		ctx := actor.NewContext(context.Background(), actor.Device(d.Organization, d.Device))
		state, err := w.access.OpenLink(ctx, access.OpenLinkInput{LogEpoch: 1, Firmware: "1.0"})
		if err != nil {
			w.t.Error(err)
			return
		}
		_, err = w.access.RecordReports(ctx, state.Epoch, []access.Report{{
			Sequence: state.Sequence + 1, OccurredAt: schema.Now(), Delivery: "LIVE", Port: d.Port,
			Type: "lock.unlocked", LockState: "UNLOCKED", Result: &access.Result{
				Command: d.Command, Stage: command.StageCONFIRMED, Confirmation: "LOCK_STATE"},
		}})
		if err != nil {
			w.t.Error(err)
		}
	})
	return nil
}

func (w *world) share(in access.ShareKeyInput) *access.ShareKeyPayload {
	w.t.Helper()
	in.KeyID, in.Recipient = w.key.ID, "guest@example.com"
	made, err := w.access.ShareKey(w.admin, in)
	must(w.t, err)
	return made
}

// browser keeps cookies and follows redirects, as a guest's does.
type browser struct {
	t    *testing.T
	http *http.Client
}

func (w *world) browser() *browser {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	must(w.t, err)
	return &browser{w.t, &http.Client{Jar: jar, Timeout: 20 * time.Second}}
}

// shown is a page.
type shown struct {
	t      *testing.T
	status int
	url    *url.URL
	header http.Header
	text   string
}

func (b *browser) get(address string) shown {
	b.t.Helper()
	return b.send(http.MethodGet, address, nil)
}

// post sends a form from one of the pages, as a browser says so.
func (b *browser) post(address string, form url.Values) shown {
	b.t.Helper()
	return b.send(http.MethodPost, address, form, "Sec-Fetch-Site", "same-origin", "Origin", "null")
}

func (b *browser) send(method, address string, form url.Values, headers ...string) shown {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, address, strings.NewReader(form.Encode()))
	must(b.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := b.http.Do(r)
	must(b.t, err)
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	must(b.t, err)
	return shown{b.t, answer.StatusCode, answer.Request.URL, answer.Header, string(body)}
}

func (s shown) has(status int, texts ...string) shown {
	s.t.Helper()
	if s.status != status {
		s.t.Fatalf("status %d, want %d: %s", s.status, status, s.text)
	}
	for _, text := range texts {
		if !strings.Contains(s.text, text) {
			s.t.Errorf("not on the page: %s\n%s", text, s.text)
		}
	}
	return s
}

var (
	hidden = regexp.MustCompile(`<input type="hidden" name="(\w+)" value="([^"]*)">`)
	action = regexp.MustCompile(`<form method="post" action="([^"]*)">`)
)

// form returns the first form of a page, as it is filled in.
func (s shown) form() (string, url.Values) {
	s.t.Helper()
	fields := url.Values{}
	for _, field := range hidden.FindAllStringSubmatch(s.text, 2) {
		fields.Set(field[1], field[2])
	}
	to := action.FindStringSubmatch(s.text)
	if to == nil {
		s.t.Fatalf("no form on the page: %s", s.text)
	}
	return s.url.Scheme + "://" + s.url.Host + to[1], fields
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAGuestTakesAKeyAndOpensTheGate(t *testing.T) {
	t.Parallel()
	w := setup(t)
	until := time.Now().Add(time.Hour)
	link := w.share(access.ShareKeyInput{RecipientName: new("Day <b>"), ValidUntil: &until, Uses: new(2)}).Link
	b := w.browser()
	for range 2 { // whatever scans mail looks first, and changes nothing
		b.get(link).has(http.StatusOK, "Harbour House", "Day &lt;b&gt;", "Quay", "Gate &lt;1&gt;",
			"Opens until ", "Opens 2 more times.", "Take this key")
	}
	list := b.post(link, nil).has(http.StatusOK, "Your doors", "Gate &lt;1&gt;", "cannot be reached now")
	if list.url.Path != "/k/open" {
		t.Errorf("at %s", list.url)
	}
	to, form := list.form()
	opened := b.post(to, form).has(http.StatusOK, "Gate &lt;1&gt; is unlocked.", "locks again by itself",
		"Opens 1 more time.")
	if strings.Contains(opened.text, "http-equiv=\"refresh\"") {
		t.Error("a page that is final is loaded again")
	}
	b.post(to, form).has(http.StatusOK, "Opens 1 more time.") // the same form: the same unlock
	w.db.Command.Update().SetEndedAt(time.Now().Add(-time.Minute)).ExecX(w.admin)
	b.get(opened.url.String()).has(http.StatusOK, "Gate &lt;1&gt; was unlocked at ")
	to, form = opened.form()
	b.post(to, form).has(http.StatusOK, "is unlocked.")
	to, form = b.get(w.url + "/k/open").form()
	b.post(to, form).has(http.StatusOK, "stays locked.", "Your key has opened as often as it may.")
}

func TestWhatHappenedIsToldHonestly(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := w.browser()
	made := w.share(access.ShareKeyInput{})
	list := b.post(made.Link, nil)
	w.device.act = func(context.Context, access.Dispatch) error { return access.ErrDeviceOffline }
	to, form := list.form()
	list = b.post(to, form).has(http.StatusOK, "did not unlock.", "The lock cannot be reached now.")
	w.device.act = func(context.Context, access.Dispatch) error { return nil } // and then, nothing
	to, form = list.form()
	list = b.post(to, form).has(http.StatusOK, "was asked to unlock.", "has not answered",
		`http-equiv="refresh" content="3"`)
	_, err := w.access.SuspendKey(w.admin, access.SuspendKeyInput{ID: made.Key.ID})
	must(t, err)
	b.get(list.url.String()).has(http.StatusOK, "The unlock of The door was cancelled.",
		"Your key is suspended for now.", "Your key opens no door now.")
	_, err = w.access.RevokeKey(w.admin, access.RevokeKeyInput{ID: made.Key.ID})
	must(t, err)
	b.get(w.url+"/k/open").has(http.StatusOK, "Your key was taken back.")
	b.post(to, form).has(http.StatusOK) // the same form again: its first unlock
}

// Links that cannot be taken, for whatever reason, are not told apart.
func TestLinksThatAreGone(t *testing.T) {
	t.Parallel()
	w := setup(t)
	used, revoked, replaced := w.share(access.ShareKeyInput{}), w.share(access.ShareKeyInput{}),
		w.share(access.ShareKeyInput{})
	expired := w.share(access.ShareKeyInput{})
	w.browser().post(used.Link, nil).has(http.StatusOK)
	_, err := w.access.RevokeKey(w.admin, access.RevokeKeyInput{ID: revoked.Key.ID})
	must(t, err)
	_, err = w.access.RenewKeyLink(w.admin, access.RenewKeyLinkInput{KeyID: replaced.Key.ID})
	must(t, err)
	w.db.Key.UpdateOne(expired.Key).SetValidUntil(time.Now().Add(-time.Second)).ExecX(w.admin)
	want := ""
	for name, link := range map[string]string{
		"used": used.Link, "revoked": revoked.Link, "replaced": replaced.Link, "expired": expired.Link,
		"cut short": used.Link[:len(used.Link)-1], "unknown": w.url + "/k/nothing",
		"deeper": w.url + "/k/a/b", "none": w.url + "/k/",
	} {
		for _, page := range []shown{w.browser().get(link), w.browser().post(link, nil)} {
			page.has(http.StatusGone, "There is no key here")
			if want == "" {
				want = page.text
			}
			if page.text != want {
				t.Errorf("%s is told apart: %s", name, page.text)
			}
		}
	}
	w.browser().get(w.url + "/k/open").has(http.StatusGone)
	w.browser().post(w.url+"/k/open/"+w.gate.ID.String(), nil).has(http.StatusGone)
}

func TestALinkIsTakenOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	link := w.share(access.ShareKeyInput{}).Link
	statuses := make(chan int, 200)
	var crowd sync.WaitGroup
	client := &http.Client{
		Timeout:       time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for range cap(statuses) {
		crowd.Go(func() {
			answer, err := client.Post(link, "application/x-www-form-urlencoded", nil)
			if err != nil {
				t.Error(err)
				return
			}
			_ = answer.Body.Close()
			statuses <- answer.StatusCode
		})
	}
	crowd.Wait()
	close(statuses)
	counts := map[int]int{}
	for status := range statuses {
		counts[status]++
	}
	if counts[http.StatusSeeOther] != 1 || counts[http.StatusGone] != 199 {
		t.Errorf("statuses %v", counts)
	}
}

func TestFormsOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	link := w.share(access.ShareKeyInput{}).Link
	for _, headers := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"},
		{"Origin", "https://elsewhere.example.com"},
	} {
		w.browser().send(http.MethodPost, link, nil, headers...).has(http.StatusForbidden)
	}
	b := w.browser()
	list := b.post(link, nil).has(http.StatusOK)
	to, form := list.form()
	b.send(http.MethodPost, to, form, "Sec-Fetch-Site", "cross-site").has(http.StatusForbidden)
	other := w.browser().post(w.share(access.ShareKeyInput{}).Link, nil)
	_, foreign := other.form()
	b.post(to, foreign).has(http.StatusForbidden, "Nothing was done")
	b.post(to, url.Values{"token": form["token"]}).has(http.StatusForbidden)
	b.post(strings.TrimSuffix(to, w.gate.ID.String())+"nothing", form).has(http.StatusGone)
	if n := w.db.Command.Query().CountX(w.admin); n != 0 {
		t.Errorf("%d commands were made", n)
	}
}

func TestHeadersAndCookie(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.public = "https://doors.example.com"
	until := time.Now().Add(time.Hour)
	link := w.share(access.ShareKeyInput{ValidUntil: &until}).Link
	path, ok := strings.CutPrefix(link, w.public)
	if !ok {
		t.Fatalf("link %s", link)
	}
	client := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	page, err := client.Get(w.url + path)
	must(t, err)
	_ = page.Body.Close()
	for name, want := range map[string]string{
		"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
		"X-Robots-Tag": "noindex, nofollow",
	} {
		if got := page.Header.Get(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	policy := page.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") ||
		strings.Contains(policy, "unsafe") || len(page.Cookies()) != 0 {
		t.Errorf("policy %s, cookies %v", policy, page.Cookies())
	}
	taken, err := client.Post(w.url+path, "application/x-www-form-urlencoded", nil)
	must(t, err)
	_ = taken.Body.Close()
	if len(taken.Cookies()) != 1 {
		t.Fatalf("cookies %v", taken.Cookies())
	}
	c := taken.Cookies()[0]
	if c.Name != "__Secure-cardea_key" || !c.Secure || !c.HttpOnly || c.Path != "/k" ||
		c.SameSite != http.SameSiteStrictMode || c.Expires.Sub(until).Abs() > 2*time.Second {
		t.Errorf("cookie %s", c)
	}
	if _, err := w.access.Authenticate(t.Context(), c.Value); err != nil {
		t.Error(err)
	}
}

// Whoever is no guest has no page, whatever their cookie holds.
func TestOnlyGuestsHaveAPage(t *testing.T) {
	t.Parallel()
	w := setup(t)
	token, err := w.access.CreateAPIToken(w.admin, access.CreateAPITokenInput{Name: "laptop"})
	must(t, err)
	b := w.browser()
	address, err := url.Parse(w.url + "/k")
	must(t, err)
	b.http.Jar.SetCookies(address, []*http.Cookie{{Name: "cardea_key", Value: token.Secret, Path: "/k"}})
	b.get(w.url + "/k/open").has(http.StatusGone)
}

// Every reason that a page can meet has words.
func TestReasonsHaveWords(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := w.browser()
	list := b.post(w.share(access.ShareKeyInput{}).Link, nil)
	to, form := list.form()
	opened := b.post(to, form).has(http.StatusOK)
	never := map[schema.Reason]bool{ // they grant, or are of credentials
		"GRANTED": true, "GRANTED_UNLOCKED_MODE": true, "GRANTED_REMOTE": true, "GRANTED_OVERRIDE": true,
		"UNKNOWN_CREDENTIAL": true, "FACILITY_MISMATCH": true, "BAD_FORMAT": true, "INVALID_PIN": true,
		"TOO_MANY_ATTEMPTS": true, "CREDENTIAL_SUSPENDED": true, "CREDENTIAL_REVOKED": true,
	}
	for _, reason := range schema.Reasons {
		if never[reason] {
			continue
		}
		w.db.Command.Update().SetStage(command.StageFAILED).SetReason(reason).ExecX(w.admin)
		page := b.get(opened.url.String()).has(http.StatusOK, "did not unlock.</strong> ")
		if strings.Contains(page.text, string(reason)) {
			t.Errorf("%s has no words", reason)
		}
	}
}
