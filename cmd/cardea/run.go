package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
)

const usage = `usage: cardea COMMAND [FLAGS]

  serve      serve the API, hold device links and deliver webhooks
  migrate    bring the database to this program's model
  bootstrap  make the first organization and its administrator
  export     write an organization to an archive
  import     make an organization of an archive
  export-log write an organization's audit log with its proof
  verify     prove an exported audit log, offline, with the public key alone
  seed       fill the database with a demo organization, or with many for benchmarks
  sim        run simulated devices against a server
  agent      link controllers of others on site: cardea agent uhppote
  conform    check a device against the protocol: cardea conform ADDRESS|DEVICE
  demo       all of it on this machine, with private Postgres and Redis under .cardea/

cardea COMMAND -h shows the command's flags. Configuration is read from the environment:

`

// program is one run of a command.
type program struct {
	env            func(string) string
	stdout, stderr io.Writer
}

// run is the program: main and the tests call it alike. It returns when the command is done, or ctx
// has ended and everything that the command started is gone.
func run(
	ctx context.Context, args []string, env func(string) string, stdout, stderr io.Writer,
) error {
	p := program{env: env, stdout: stdout, stderr: stderr}
	commands := map[string]func(context.Context, []string) error{
		"serve": p.serve, "migrate": p.migrate, "seed": p.seed, "sim": p.sim, "agent": p.agent, "demo": p.demo,
		"conform":   p.conform,
		"bootstrap": p.bootstrap, "export": p.export, "import": p.importArchive,
		"export-log": p.exportLog, "verify": p.verify,
	}
	if len(args) > 0 {
		if command, ok := commands[args[0]]; ok {
			err := command(ctx, args[1:])
			if errors.Is(err, flag.ErrHelp) {
				return nil
			}
			return err
		}
	}
	if len(args) == 1 && slices.Contains([]string{"help", "-h", "-help", "--help"}, args[0]) {
		_, err := fmt.Fprint(stdout, usage, variables())
		return err
	}
	_, _ = fmt.Fprint(stderr, usage, variables())
	return errors.New("no such command: " + strings.Join(args, " "))
}

// flags returns the flag set of a command, which prints to the program's own output.
func (p program) flags(command string) *flag.FlagSet {
	set := flag.NewFlagSet("cardea "+command, flag.ContinueOnError)
	set.SetOutput(p.stderr)
	return set
}

func (p program) logger(c config) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(p.stderr, options))
	}
	return slog.New(slog.NewTextHandler(p.stderr, options))
}
