package main

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cardea/cardea/internal/testenv/bucketserver"
	"github.com/cardea/cardea/transfer/bucket"
)

// TestVerifyAnExport exports the log of the demo organization and proves it as a stranger would: with the
// program, the file and the public key.
func TestVerifyAnExport(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) string {
		t.Helper()
		if err := os.WriteFile(path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path(name)
	}
	do := func(args ...string) (string, error) {
		var out bytes.Buffer
		err := run(t.Context(), args, s.getenv, &out, t.Output())
		return out.String(), err
	}
	secrets, err := readSecrets(s.env["CARDEA_SECRETS"])
	if err != nil {
		t.Fatal(err)
	}
	keys, err := readLogKeys("", secrets)
	if err != nil {
		t.Fatal(err)
	}
	key := keys.Public()[0].String()
	export := func(name string, more ...string) {
		t.Helper()
		args := append([]string{"export-log", "-organization", s.organization(), "-out", path(name)}, more...)
		if out, err := do(args...); err != nil {
			t.Fatal(out, err)
		}
	}
	verifies := func(want string, args ...string) {
		t.Helper()
		out, err := do(append([]string{"verify"}, args...)...)
		if !strings.HasPrefix(out, want) || (err == nil) != strings.HasPrefix(want, "verified") {
			t.Errorf("verify %v: %s, %v; want %s", args, out, err, want)
		}
	}
	export("first.ndjson")
	export("second.ndjson")
	verifies("verified: entries 1 to ", path("first.ndjson"), "-key", key)
	verifies("verified: entries 1 to ", "-key", write("keys", key+"\n"), "-previous", path("first.ndjson"),
		path("second.ndjson"))
	verifies("WRONG: ", path("first.ndjson"), "-key", key, "-previous", path("second.ndjson"))

	whole, err := os.ReadFile(path("second.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	changed := regexp.MustCompile(`"type":"door.created"`).ReplaceAllLiteral(whole, []byte(`"type":"door.deleted"`))
	verifies("WRONG: entry ", write("changed.ndjson", string(changed)), "-key", key)
	write("resumed.ndjson", string(whole[:len(whole)*2/3]))
	verifies("WRONG: entry ", path("resumed.ndjson"), "-key", key)
	export("resumed.ndjson", "-resume")
	if resumed, err := os.ReadFile(path("resumed.ndjson")); err != nil || !bytes.Equal(resumed, whole) {
		t.Errorf("the file that was completed is another: %v", err)
	}
	if out, err := do("verify", path("first.ndjson")); err == nil {
		t.Error("without a key: ", out)
	}
	s.env["CARDEA_SECRETS"] = ""
	if out, err := do("export-log", "-organization", s.organization(), "-out", path("x")); err == nil {
		t.Error("signed with no key: ", out)
	}
}

// TestExportIntoABucket exports a log into a bucket, gets it from there with another program's signature, and
// proves it.
func TestExportIntoABucket(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	maps.Copy(s.env, bucketserver.Start(t))
	do := func(args ...string) (string, error) {
		var out bytes.Buffer
		err := run(t.Context(), args, s.getenv, &out, t.Output())
		return out.String(), err
	}
	const to = "s3://logs/2026/audit-log.ndjson"
	export := []string{"export-log", "-organization", s.organization(), "-out"}
	if out, err := do(append(export, to)...); err != nil || !strings.HasSuffix(out, "wrote "+to+"\n") {
		t.Fatal(out, err)
	}
	place, err := bucket.Parse(to, s.getenv)
	if err != nil {
		t.Fatal(err)
	}
	object, err := place.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = object.Close() }()
	path := filepath.Join(t.TempDir(), "audit-log.ndjson")
	file, err := os.Create(path)
	if err == nil {
		_, err = io.Copy(file, object)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	secrets, err := readSecrets(s.env["CARDEA_SECRETS"])
	if err != nil {
		t.Fatal(err)
	}
	keys, err := readLogKeys("", secrets)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := do("verify", path, "-key", keys.Public()[0].String()); err != nil {
		t.Error(out, err)
	}
	for _, args := range [][]string{{to}, {to, "-resume"}, {"s3://none"}} {
		if out, err := do(append(export, args...)...); err == nil {
			t.Errorf("%v: %s, %v", args, out, err)
		}
	}
}
