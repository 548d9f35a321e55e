package main

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// asProgram makes the test binary behave as the program itself.
const asProgram = "LOCALSERVICES_TEST_AS_WITH"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// with prepares the program as a process of its own, with no services in its environment.
func with(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = []string{asProgram + "=1", "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	cmd.Stderr = t.Output()
	return cmd
}

func servicesDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() {
		if home, err := filepath.EvalSymlinks(filepath.Join(dir, "scratch")); err == nil {
			_ = os.RemoveAll(home)
		}
	})
	return dir
}

func TestCommandFindsServices(t *testing.T) {
	t.Parallel()
	out, err := with(t, "-dir", servicesDir(t), "--",
		"sh", "-c", `echo "$CARDEA_DATABASE_URL $CARDEA_REDIS_URL"; exit 7`).Output()
	wantCode(t, err, 7)
	want := regexp.MustCompile(`^postgres://\S+sslmode=disable unix:///\S+\n$`)
	if !want.Match(out) {
		t.Errorf("the command saw %q", out)
	}
}

func TestDataGoesWithSuccess(t *testing.T) {
	t.Parallel()
	dir := servicesDir(t)
	for _, command := range []string{"false", "true"} {
		_ = with(t, "-dir", dir, "--", command).Run()
		_, err := os.Stat(filepath.Join(dir, "scratch"))
		if kept := err == nil; kept != (command == "false") {
			t.Errorf("after %s: data kept = %v", command, kept)
		}
	}
}

func wantCode(t *testing.T, err error, code int) {
	t.Helper()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != code {
		t.Errorf("ended with %v; want the command's code %d", err, code)
	}
}

func TestCommandKeepsGivenServices(t *testing.T) {
	t.Parallel()
	cmd := with(t, "--", "sh", "-c", `echo "$CARDEA_DATABASE_URL $CARDEA_REDIS_URL"`)
	cmd.Env = append(cmd.Env,
		"CARDEA_DATABASE_URL=postgres://db.example", "CARDEA_REDIS_URL=redis://cache.example")
	out, err := cmd.Output()
	if got := string(out); err != nil || got != "postgres://db.example redis://cache.example\n" {
		t.Errorf("the command saw %q, %v", got, err)
	}
}

func TestTerminationReachesTheCommand(t *testing.T) {
	t.Parallel()
	// The command ends its parent, which passes that on; the trap shows that it arrived.
	out, err := with(t, "-dir", servicesDir(t), "--", "sh", "-c",
		`trap 'echo asked; kill $!; exit 3' TERM
		sleep 60 >/dev/null 2>&1 &
		kill -TERM $PPID; wait`).Output()
	wantCode(t, err, 3)
	if string(out) != "asked\n" {
		t.Errorf("the command said %q; want \"asked\"", out)
	}
}

func TestKilledParentIsNoObstacle(t *testing.T) {
	t.Parallel()
	dir := servicesDir(t)
	holdAndKill(t, dir)
	if err := with(t, "-dir", dir, "--", "true").Run(); err != nil {
		t.Errorf("second start: %v", err)
	}
}

// holdAndKill starts servers and kills their parent once they are up.
func holdAndKill(t *testing.T, dir string) {
	t.Helper()
	hold := with(t, "-dir", dir, "-hold")
	stdout, err := hold.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := hold.Start(); err != nil {
		t.Fatal(err)
	}
	// Its first line says that the servers are up.
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "export CARDEA_DATABASE_URL='postgres://") {
		t.Errorf("first line %q, %v", line, err)
	}
	if err := hold.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, stdout)
	_ = hold.Wait()
}
