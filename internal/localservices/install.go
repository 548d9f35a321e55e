package localservices

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// Need is a program that has to be on the machine.
type Need string

// The programs that [Install] can bring.
const (
	Postgres Need = "postgres"
	Redis    Need = "redis"
	// Compiler is a C compiler. On Linux "go test -race" links the race detector through cgo.
	Compiler Need = "compiler"
	// Chromium is a browser, for tests of pages.
	Chromium Need = "chromium"
	// Node is npm and any Node.js that it runs on, for tests with clients that others have written.
	Node Need = "node"
)

// missing reports why the program is not there; nil if it is.
func (n Need) missing(ctx context.Context) (err error) {
	switch n {
	case Postgres:
		_, err = findPostgres(ctx, 0)
	case Redis:
		_, err = findRedis(ctx)
	case Compiler:
		if _, err = exec.LookPath("gcc"); err != nil {
			_, err = exec.LookPath("clang")
		}
	case Chromium:
		_, err = FindChromium()
	case Node:
		_, err = exec.LookPath("npm")
	}
	return err
}

// chromiums are the names of the program, where it is found.
var chromiums = []string{
	"chromium", "chromium-browser", "google-chrome",
	"/Applications/Chromium.app/Contents/MacOS/Chromium",
	"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
}

// FindChromium returns the path of a Chromium, or of what is built from it.
func FindChromium() (string, error) {
	for _, name := range chromiums {
		if found, err := exec.LookPath(name); err == nil {
			return found, nil
		}
	}
	return "", errors.New("no Chromium is on this machine")
}

// aptScript installs the given needs on Debian and its children.
//
//go:embed install_debian.sh
var aptScript string

// Install makes sure that this machine has the needed programs and prints to out what it does, if
// it has to do anything: with apt-get (as root, or with sudo where that asks no password), or
// with brew. No system service is started or left enabled. Elsewhere the error says what to
// install.
func Install(ctx context.Context, out io.Writer, needs ...Need) error {
	var names []string
	var why []error
	for _, need := range needs {
		if err := need.missing(ctx); err != nil {
			names = append(names, string(need))
			why = append(why, err)
		}
	}
	if len(why) == 0 {
		return nil
	}
	cmd, err := installer(ctx, names)
	if err != nil {
		return errors.Join(append(why, err)...)
	}
	_, _ = fmt.Fprintf(out, "Installing %s (once)\n", strings.Join(names, ", "))
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("install %s: %w", strings.Join(names, ", "), err)
	}
	for _, need := range needs {
		if err := need.missing(ctx); err != nil {
			return fmt.Errorf("after installing: %w", err)
		}
	}
	return nil
}

// installer is the command that installs what is missing.
func installer(ctx context.Context, names []string) (*exec.Cmd, error) {
	if _, err := exec.LookPath("apt-get"); err == nil {
		return debianInstaller(ctx, names)
	}
	if brew, err := exec.LookPath("brew"); err == nil {
		args := append([]string{"install"}, formulas(names)...)
		return exec.CommandContext(ctx, brew, args...), nil
	}
	return nil, errors.New(`install them with the system's package manager:
  PostgreSQL 15 or newer (the programs postgres and initdb)
  Redis 7 or newer (the program redis-server)
  for the tests, a C compiler (gcc or clang), a browser (chromium) and npm
or set CARDEA_DATABASE_URL and CARDEA_REDIS_URL to servers that are there`)
}

// debianInstaller runs the script as root.
func debianInstaller(ctx context.Context, names []string) (*exec.Cmd, error) {
	shell := []string{"/bin/sh", "-eu", "-c", aptScript, "install"}
	if os.Geteuid() != 0 {
		if err := exec.CommandContext(ctx, "sudo", "-n", "true").Run(); err != nil {
			return nil, errors.New(`installing needs root: run the same command once as root, or
  sudo apt-get install --no-install-recommends postgresql redis-tools gcc libc6-dev chromium npm`)
		}
		shell = append([]string{"sudo", "-n"}, shell...)
	}
	shell = append(shell, names...)
	// Half an installation is worse than a late answer: ctx does not cut it short.
	return exec.CommandContext(context.WithoutCancel(ctx), shell[0], shell[1:]...), nil
}

func formulas(names []string) []string {
	formula := map[string]string{
		"postgres": "postgresql@17", "redis": "redis", "compiler": "gcc", "chromium": "chromium",
		"node": "node",
	}
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = formula[name]
	}
	return list
}
