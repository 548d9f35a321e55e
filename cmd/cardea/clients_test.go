package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestClients has what others have written speak to a node: conformance suites, clients and
// generators of code, at the versions of their lock file.
func TestClients(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	url := s.serve("api,link,worker")
	suites, err := filepath.Abs("../../graph/clients")
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{
		{"npm", "ci", "--no-audit", "--no-fund"},
		{filepath.Join("node_modules", ".bin", "node"), "--test", "--test-reporter=spec"},
	} {
		cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
		cmd.Dir = suites
		cmd.Env = append(os.Environ(), "CARDEA_URL="+url, "CARDEA_TOKEN="+s.token)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", command, err, out)
		}
	}
}
