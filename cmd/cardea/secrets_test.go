package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestServeNeedsSecrets(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secrets")
	if err := os.WriteFile(file, []byte(newSecret()+"\n"+newSecret()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	twice := newSecret()
	for name, test := range map[string]struct{ secrets, file, want string }{
		"none":       {"", "", "CARDEA_SECRETS: is not set: make one with openssl rand -base64 32"},
		"short":      {"c2hvcnQ=", "", "CARDEA_SECRETS: line 1: has 5 bytes"},
		"twice":      {twice + "," + twice, "", "CARDEA_SECRETS: secret 2: is there twice"},
		"no file":    {"", file + "2", "CARDEA_SECRETS: open "},
		"one":        {newSecret(), "", ""},
		"two":        {newSecret() + "," + newSecret(), "", ""},
		"in a file":  {"", file, ""},
		"file first": {"not;base64", file, ""},
	} {
		env := map[string]string{
			"CARDEA_DATABASE_URL": "postgres://db/cardea?sslmode=disable",
			"CARDEA_REDIS_URL":    "unix:///redis",
			"CARDEA_SECRETS":      test.secrets, "CARDEA_SECRETS_FILE": test.file,
		}
		err := run(t.Context(), []string{"serve", "-check"},
			func(name string) string { return env[name] }, io.Discard, io.Discard)
		if test.want == "" && err != nil ||
			test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDemoKeepsItsSecret opens in a second run what a first one sealed.
func TestDemoKeepsItsSecret(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), ".cardea", "secrets")
	none := func(string) string { return "" }
	var kept [2]string
	for i := range kept {
		env, err := keepSecrets(none, path)
		if err != nil {
			t.Fatal(err)
		}
		if kept[i], err = lookUp(env, "CARDEA_SECRETS"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := readSecrets(kept[0]); err != nil || kept[0] != kept[1] {
		t.Errorf("not the same, or not one: %v", err)
	}
	for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	own := with(none, "CARDEA_SECRETS", newSecret())
	env, err := keepSecrets(own, path)
	if err != nil || env("CARDEA_SECRETS_FILE") != "" {
		t.Errorf("the environment's own do not win: %v", err)
	}
}

// TestOtherCommandsNeedNoSecrets, nor do they take bad ones.
func TestOtherCommandsNeedNoSecrets(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, command := range []string{"migrate", "sim"} {
		for secrets, want := range map[string]bool{"": false, "not;base64": true} {
			env := map[string]string{
				"CARDEA_DATABASE_URL": "postgres://nowhere.invalid/db?sslmode=disable",
				"CARDEA_SECRETS":      secrets,
			}
			args := []string{command}
			if command == "sim" {
				args = append(args, "-devices", filepath.Join(t.TempDir(), "none.json"))
			}
			err := run(ctx, args, func(name string) string { return env[name] }, io.Discard, io.Discard)
			if err == nil || strings.Contains(err.Error(), "CARDEA_SECRETS") != want {
				t.Errorf("%s with %q: %v", command, secrets, err)
			}
		}
	}
}

// TestLinkKeys come of the secrets, or of keys of their own; never of the secrets' keys for the log.
func TestLinkKeys(t *testing.T) {
	t.Parallel()
	first, second := newSecret(), newSecret()
	secrets, err := readSecrets(first + "," + second)
	if err != nil {
		t.Fatal(err)
	}
	derived, err := readLinkKeys("", secrets)
	if err != nil || len(derived.Public()) != 2 {
		t.Fatalf("%v, %v", derived, err)
	}
	own, err := readLinkKeys(first, secrets)
	if err != nil || len(own.Public()) != 1 || own.Public()[0] == derived.Public()[0] {
		t.Errorf("%v, %v", own, err)
	}
	log, err := readLogKeys("", secrets)
	if err != nil || bytes.Equal(log.Public()[0].Key, derived.Public()[0].PublicKey[:]) {
		t.Errorf("the log's key signs to devices: %v", err)
	}
	for text, want := range map[string]string{
		"c2hvcnQ=": "line 1: has 5 bytes", first + "," + first: "key 2 is there twice",
		strings.Repeat(first+"\n", 9): "1 to 8 link keys, not 9",
	} {
		if _, err := readLinkKeys(text, secrets); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d bytes: %v", len(text), err)
		}
	}
	if text := fmt.Sprintf("%v %+v %s %#v", own, own.Newest(), own, own); strings.Contains(text, "private") {
		t.Errorf("a keyring prints as %s", text)
	}
}
