package transfer_test

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/session"
	"github.com/cardea/cardea/typeid"
)

type manifest struct {
	Format         int
	OrganizationID typeid.Organization
	Files          []struct {
		Name   string
		Lines  int
		Bytes  int
		SHA256 string
	}
	LeftOut []struct{ What, Why string }
	Journal struct {
		Size int
		Root string
	}
}

// read opens an archive and checks what its manifest says of each file.
func read(t *testing.T, text string) (manifest, map[string]string) {
	t.Helper()
	archive, err := zip.NewReader(strings.NewReader(text), int64(len(text)))
	must(t, err)
	files := map[string]string{}
	for _, f := range archive.File {
		from, err := f.Open()
		must(t, err)
		content, err := io.ReadAll(from)
		must(t, err)
		files[f.Name] = string(content)
	}
	var m manifest
	must(t, json.Unmarshal([]byte(files["manifest.json"]), &m))
	equal(t, len(files), len(m.Files)+1)
	for _, f := range m.Files {
		sum := sha256.Sum256([]byte(files[f.Name]))
		equal(t, hex.EncodeToString(sum[:]), f.SHA256)
		equal(t, strings.Count(files[f.Name], "\n"), f.Lines)
		equal(t, len(files[f.Name]), f.Bytes)
	}
	return m, files
}

// An archive has everything of one organization but secrets, and proves its journal to whoever has it.
func TestArchive(t *testing.T) {
	t.Parallel()
	w := setup(t)
	equal(t, w.load("users", "email,name\ngate@example.com,Gate\n").status, http.StatusOK)
	site, err := w.access.CreateSite(w.owner, access.CreateSiteInput{Name: "Harbour", TimeZone: "Europe/Rome"})
	must(t, err)
	door, err := w.access.CreateDoor(w.owner, access.CreateDoorInput{SiteID: site.Site.ID, Name: "Gate"})
	must(t, err)
	_, err = w.access.GrantKey(w.owner, access.GrantKeyInput{UserID: w.desk.ID, DoorIDs: []typeid.Door{door.Door.ID}})
	must(t, err)
	pin, err := w.access.CreatePIN(w.owner, access.CreatePINInput{UserID: w.desk.ID})
	must(t, err)
	hook, err := w.access.CreateWebhookEndpoint(w.owner, access.CreateWebhookEndpointInput{
		URL: "https://example.com/hook"})
	must(t, err)
	system := actor.NewContext(t.Context(), actor.System("test").Within(w.org.ID))
	in, err := w.access.StartSession(system, w.desk.ID, session.MethodEMAIL_CODE, access.Client{})
	must(t, err)
	_, err = w.access.CreateSite(w.stranger, access.CreateSiteInput{Name: "Elsewhere", TimeZone: "Europe/Rome"})
	must(t, err)

	status, text := w.getFile(w.token, "organization.zip")
	equal(t, status, http.StatusOK)
	m, files := read(t, text)
	equal(t, m.OrganizationID, w.org.ID)
	for file, holds := range map[string]string{
		"users": w.desk.ID.String(), "sites": site.Site.ID.String(), "keys": `"user_id":"` + w.desk.ID.String(),
		"key_targets": door.Door.ID.String(), "organizations": w.org.ID.String(),
		"credentials": "PIN", "events": "data.exported", "webhook_endpoints": "https://example.com/hook",
	} {
		if !strings.Contains(files[file+".ndjson"], holds) {
			t.Errorf("%s lacks %s: %s", file, holds, files[file+".ndjson"])
		}
	}
	all := strings.Join(strings.Fields(func() (joined string) {
		for _, content := range files {
			joined += content
		}
		return joined
	}()), "")
	for name, secret := range map[string]string{
		"a token": w.token, "a session": in.Secret, "a PIN": `"` + pin.PIN + `"`, "another's": "Elsewhere",
		"a webhook's secret": strings.TrimPrefix(hook.Secret, "whsec_"),
	} {
		if strings.Contains(all, secret) {
			t.Errorf("the archive holds %s", name)
		}
	}

	// Offline: the lines are the leaves.
	tree := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	for line := range strings.Lines(files["events.ndjson"]) {
		must(t, tree.Append(rfc6962.DefaultHasher.HashLeaf([]byte(strings.TrimSuffix(line, "\n"))), nil))
	}
	root, err := tree.GetRootHash(nil)
	must(t, err)
	equal(t, int(tree.End()), m.Journal.Size)
	equal(t, hex.EncodeToString(root), m.Journal.Root)
	half := text[:len(text)/2]
	if _, err := zip.NewReader(strings.NewReader(half), int64(len(half))); err == nil {
		t.Error("one that broke off looks whole")
	}
}

// Only an owner gets it, and not through a token that is narrowed in any way.
func TestArchiveIsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	role := actor.RoleAdmin
	admin, err := w.access.CreateUser(w.owner, access.CreateUserInput{Name: "A", Email: "a@example.com", Role: &role})
	must(t, err)
	byAdmin := actor.NewContext(t.Context(), actor.User(w.org.ID, admin.User.ID, actor.RoleAdmin))
	tokens := map[string]string{"admin": w.tokenOf(byAdmin), "scoped": w.tokenOf(w.owner, "users:write", "users:read")}
	_, since := w.events(0)
	for name, token := range tokens {
		if status, _ := w.getFile(token, "organization.zip"); status != http.StatusForbidden {
			t.Errorf("%s: %d", name, status)
		}
	}
	status, _ := w.getFile("", "organization.zip")
	equal(t, status, http.StatusUnauthorized)
	told, _ := w.events(since)
	equal(t, told, "")
}
