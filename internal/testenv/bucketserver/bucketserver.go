// Package bucketserver starts an S3-compatible server for a test: internal/bucketserver.
package bucketserver

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Start starts one, with a bucket "logs", and returns the environment that names it and has the credentials
// for it.
func Start(tb testing.TB) map[string]string {
	tb.Helper()
	module, err := exec.CommandContext(tb.Context(), "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		tb.Fatalf("find the module: %v", err)
	}
	program := filepath.Join(tb.TempDir(), "bucketserver")
	build := exec.CommandContext(tb.Context(), "go", "build", "-o", program, ".") //nolint:gosec // ours
	build.Dir = filepath.Join(strings.TrimSpace(string(module)), "internal", "bucketserver")
	if out, err := build.CombinedOutput(); err != nil {
		tb.Fatalf("build the bucket's server: %v\n%s", err, out)
	}
	env := map[string]string{"AWS_ACCESS_KEY_ID": "gate", "AWS_SECRET_ACCESS_KEY": "cellar"}
	server := exec.CommandContext(tb.Context(), program) //nolint:gosec // ours
	for name, value := range env {
		server.Env = append(server.Env, name+"="+value)
	}
	out, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		tb.Fatalf("start the bucket's server: %v", err)
	}
	tb.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		tb.Fatalf("start the bucket's server: %v", err)
	}
	env["AWS_ENDPOINT_URL"] = strings.TrimSpace(address)
	return env
}
