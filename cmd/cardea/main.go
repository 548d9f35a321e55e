// Command cardea is the whole of Cardea in one program: it serves the API, holds the links of
// devices and delivers webhooks; it migrates and seeds the database; it simulates doors, and links
// controllers on site.
//
// This package wires: it alone reads the environment, knows every part, starts the parts and stops
// them in order.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// patience is how long an orderly stop may take.
const patience = 45 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal, or a part that hangs, ends the program at once.
	context.AfterFunc(ctx, func() {
		stop()
		time.AfterFunc(patience, func() { os.Exit(2) })
	})
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cardea:", err)
		os.Exit(1)
	}
}
