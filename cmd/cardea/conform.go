package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"time"

	"github.com/cardea/cardea/devicelink/conform"
)

// conform checks a device against the protocol: one that is told to link to an address, or a program that
// is one.
func (p program) conform(ctx context.Context, args []string) error {
	flags := p.flags("conform")
	flags.Usage = func() {
		_, _ = fmt.Fprint(p.stderr, "usage: cardea conform [FLAGS] ADDRESS|DEVICE\n\n"+
			"ADDRESS, such as :8090, is where a device links that you start. DEVICE is a program that is one, with\n"+
			"its arguments; {url} and {claim} in them become the server's URL and the claim code.\n\n")
		flags.PrintDefaults()
	}
	port := flags.Int("port", 1, "the device's port to bind a door to")
	cert := flags.String("cert", "", "file of a TLS certificate; without it, the kit speaks plain HTTP")
	key := flags.String("key", "", "file of the certificate's key")
	pause := flags.Duration("pause", 0, "how long the device may take to link again (default 40s)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		flags.Usage()
		return errors.New("conform: which device?")
	}
	address, device := flags.Arg(0), []string(nil)
	if _, _, err := net.SplitHostPort(address); err != nil || flags.NArg() > 1 {
		address, device = "127.0.0.1:0", flags.Args()
	}
	kit, err := conform.New(conform.Config{Port: *port, Reconnect: *pause})
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{Handler: kit, ReadHeaderTimeout: 10 * time.Second}
	defer server.Close() //nolint:errcheck // nothing is left to say
	url := "http://" + listener.Addr().String()
	if *cert != "" {
		url = "https://" + listener.Addr().String()
		go func() { _ = server.ServeTLS(listener, *cert, *key) }()
	} else {
		go func() { _ = server.Serve(listener) }()
	}
	_, _ = fmt.Fprintf(p.stdout, "server %s\nclaim code %s\n\n", url, kit.ClaimCode)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if len(device) > 0 {
		ended, err := p.start(ctx, device, url, kit.ClaimCode)
		if err != nil {
			return err
		}
		defer func() {
			stop()
			<-ended
		}()
	}
	report := kit.Run(ctx, func(r conform.Result) { conform.Report{r}.WriteLines(p.stdout) })
	_, _ = fmt.Fprintln(p.stdout, report.Summary())
	if !report.Conforms() {
		return errors.New("the device does not conform")
	}
	return nil
}

// start runs a device until ctx ends; ended is closed when it has.
func (p program) start(
	ctx context.Context, device []string, url, claim string,
) (ended <-chan struct{}, err error) {
	fill := strings.NewReplacer("{url}", url, "{claim}", claim)
	args := make([]string, len(device))
	for i, arg := range device {
		args[i] = fill.Replace(arg)
	}
	run := exec.CommandContext(ctx, args[0], args[1:]...) //nolint:gosec // the operator names it
	run.Stdout, run.Stderr, run.WaitDelay = p.stderr, p.stderr, 5*time.Second
	if err := run.Start(); err != nil {
		return nil, fmt.Errorf("start device: %w", err)
	}
	over := make(chan struct{})
	go func() {
		_ = run.Wait() // what it did counts
		close(over)
	}()
	return over, nil
}
