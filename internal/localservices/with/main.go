// Command with runs a command beside a private Postgres and a private Redis, which end with it:
//
//	go run ./internal/localservices/with -dir .cardea/test -- go test ./...
//
// The command finds them in CARDEA_DATABASE_URL and CARDEA_REDIS_URL. A server that is named there
// already is used as it is. Missing programs are installed first. The exit code is the command's.
//
// With -hold it runs no command: it prints the two variables for a shell to evaluate, and keeps the
// servers up until it is interrupted.
//
// The servers do not wait for the disk. Their data goes when the command has succeeded; when it has
// failed, the data stays for -hold to look into, until a crash or the next success.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/cardea/cardea/internal/localservices"
)

// endings are the signals that ask a program to end.
var endings = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}

func main() {
	code, err := run(context.Background(), os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "with:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// run returns the exit code of the command.
func run(ctx context.Context, args []string) (code int, err error) {
	flags := flag.NewFlagSet("with", flag.ContinueOnError)
	dir := flags.String("dir", ".cardea/test", "where the servers keep their files")
	hold := flags.Bool("hold", false, "run no command, keep the servers up until interrupted")
	compiler := flags.Bool("compiler", false, "install a C compiler too, as go test -race needs it")
	chromium := flags.Bool("chromium", false, "install a browser too, as tests of pages need it")
	node := flags.Bool("node", false, "install npm too, as tests with outside clients need it")
	if err := flags.Parse(args); err != nil {
		return 2, err
	}
	if *hold == (flags.NArg() > 0) {
		return 2, errors.New("give a command after --, or -hold")
	}
	// From here on a signal must not end us before the servers are stopped.
	ctx, release := signal.NotifyContext(ctx, endings...)
	defer release()

	cfg := localservices.Config{
		Dir:         *dir,
		PostgresURL: os.Getenv("CARDEA_DATABASE_URL"),
		RedisURL:    os.Getenv("CARDEA_REDIS_URL"),
	}
	needs := cfg.Needs()
	if *compiler {
		needs = append(needs, localservices.Compiler)
	}
	if *node {
		needs = append(needs, localservices.Node)
	}
	if *chromium {
		needs = append(needs, localservices.Chromium)
	}
	if err := localservices.Install(ctx, os.Stderr, needs...); err != nil {
		return 1, err
	}
	services, err := localservices.Start(ctx, cfg)
	if err != nil {
		return 1, err
	}
	defer func() {
		end := services.Stop
		if code == 0 && !*hold {
			end = services.Discard
		}
		err = errors.Join(err, end())
	}()
	if *hold {
		fmt.Fprintf(os.Stdout, "export CARDEA_DATABASE_URL=%s\n", quote(services.PostgresURL))
		fmt.Fprintf(os.Stdout, "export CARDEA_REDIS_URL=%s\n", quote(services.RedisURL))
		<-ctx.Done()
		return 0, nil
	}
	return beside(services, flags.Args())
}

// beside runs the command and passes on what asks it to end. An interrupt is not passed on: the
// terminal has sent it to the command too, and many commands take the second one as "at once".
func beside(services *localservices.Services, args []string) (code int, err error) {
	cmd := exec.CommandContext(context.Background(), args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(),
		"CARDEA_DATABASE_URL="+services.PostgresURL, "CARDEA_REDIS_URL="+services.RedisURL)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, endings...)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 127, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case sig := <-signals:
			if sig != os.Interrupt {
				_ = cmd.Process.Signal(sig)
			}
		case err := <-ended:
			return exitCode(err)
		}
	}
}

// exitCode is the command's own, or as a shell says it, 128 and the signal that ended it.
func exitCode(err error) (int, error) {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return 0, err
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return exit.ExitCode(), nil
}

// quote makes s one word for a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
