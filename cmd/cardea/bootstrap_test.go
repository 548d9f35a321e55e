package main

import (
	"archive/zip"
	"bytes"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/typeid"
)

// From an empty database to a signed-in administrator, by the commands that print what to do next.
func TestBootstrap(t *testing.T) {
	t.Parallel()
	redis, namespace := testenv.Redis(t)
	box, err := openMailbox(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = box.server.Serve(box.listener) }()
	t.Cleanup(func() { _ = box.server.Close() })
	s := &stage{t: t, env: map[string]string{
		"CARDEA_DATABASE_URL": testenv.Postgres(t), "CARDEA_REDIS_URL": redis,
		"CARDEA_REDIS_NAMESPACE": namespace, "CARDEA_ADDR": "127.0.0.1:0", "CARDEA_LOG_LEVEL": "warn",
		"CARDEA_SECRETS": newSecret(), "CARDEA_SMTP_URL": box.url(),
	}}
	bootstrap := func(more ...string) (string, error) {
		var out bytes.Buffer
		args := append([]string{"bootstrap", "-organization", "Harbour", "-email", "desk@example.com"}, more...)
		err := run(t.Context(), args, s.getenv, &out, t.Output())
		return out.String(), err
	}
	out, err := bootstrap()
	if err != nil || !strings.Contains(out, "org_") || !strings.Contains(out, "/sign-in") {
		t.Fatalf("%s, %v", out, err)
	}
	if out, err := bootstrap(); err == nil || !strings.Contains(err.Error(), "-more") || out != "" {
		t.Errorf("%s, %v", out, err)
	}
	if _, err := bootstrap("-more", "-email", "other@example.com"); err != nil {
		t.Error(err)
	}
	s.exports(regexp.MustCompile(`org_\w+`).FindString(out))
	url := s.serve("api,worker")
	post := func(path, body string) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		answer, err := new(http.Client).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		text, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode > 299 {
			t.Fatalf("%s: %d %s, %v", path, answer.StatusCode, text, err)
		}
		return string(text)
	}
	nonce := regexp.MustCompile(`cardeasignin_\w+`).FindString(
		post("/sign-in/v1/codes", `{"email": "desk@example.com"}`))
	code := box.code(t)
	made := post("/sign-in/v1/sessions", `{"nonce": "`+nonce+`", "code": "`+code+`"}`)
	secret := regexp.MustCompile(`cardeasession_\w+`).FindString(made)
	s.token = secret
	var got struct{ Viewer struct{ Role string } }
	if s.ask(url, `{ viewer { role } }`, &got); got.Viewer.Role != "OWNER" {
		t.Errorf("signed in as %v", got)
	}
}

// code waits for a mail, and returns the code in it.
func (m *mailbox) code(t *testing.T) string {
	t.Helper()
	digits := regexp.MustCompile(`(?m)^    (\d{6})\r?$`)
	for late := time.Now().Add(limit); time.Now().Before(late); <-time.After(20 * time.Millisecond) {
		m.mu.Lock()
		mails := m.mails
		m.mu.Unlock()
		if len(mails) > 0 {
			if found := digits.FindStringSubmatch(mails[0].Text); found != nil {
				return found[1]
			}
			t.Fatalf("no code in %q", mails[0].Text)
		}
	}
	t.Fatal("no mail came")
	return ""
}

// exports writes the archive of an organization, over no file that is there, and of none that is not.
func (s *stage) exports(organization string) {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "organization.zip")
	for _, c := range []struct {
		organization string
		fails        bool
	}{{"org_7", true}, {typeid.New[typeid.Organization]().String(), true},
		{organization, false}, {organization, true}} {
		err := run(s.t.Context(), []string{"export", "-organization", c.organization, "-out", path},
			s.getenv, io.Discard, s.t.Output())
		if (err != nil) != c.fails {
			s.t.Errorf("%s: %v", c.organization, err)
		}
	}
	archive, err := zip.OpenReader(path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = archive.Close() }()
	if last := archive.File[len(archive.File)-1].Name; last != "manifest.json" {
		s.t.Errorf("ends with %s", last)
	}
	s.imports(path, organization)
}

// imports makes the organization again in another database, once, and not without secrets.
func (s *stage) imports(path, organization string) {
	s.t.Helper()
	elsewhere := with(s.getenv, "CARDEA_DATABASE_URL", testenv.Postgres(s.t))
	for _, c := range []struct {
		env   func(string) string
		args  []string
		says  string
		fails bool
	}{
		{elsewhere, nil, "", true},
		{elsewhere, []string{path + "x"}, "", true},
		{elsewhere, []string{"-max-bytes=100", path}, "", true},
		{elsewhere, []string{"-dry-run", path}, "a dry run: nothing was changed\n", false},
		{elsewhere, []string{path}, "organization   " + organization, false},
		{elsewhere, []string{path}, "", true},
		{s.getenv, []string{path}, "", true},
	} {
		var said strings.Builder
		err := run(s.t.Context(), append([]string{"import"}, c.args...), c.env, &said, s.t.Output())
		if (err != nil) != c.fails || !strings.HasPrefix(said.String(), c.says) {
			s.t.Errorf("import %s: %v, %s", c.args, err, said.String())
		}
	}
}
