package main

import (
	"net"
	"path/filepath"
	"testing"
	"time"
)

// Only Linux ends the servers of a killed parent; elsewhere the next start does.
func TestServersEndWithAKilledParent(t *testing.T) {
	t.Parallel()
	dir := servicesDir(t)
	holdAndKill(t, dir)
	for _, socket := range []string{"redis.sock", ".s.PGSQL.5432"} {
		waitUntilRefused(t, filepath.Join(dir, "scratch", "sockets", socket))
	}
}

func waitUntilRefused(t *testing.T, socket string) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		conn, err := new(net.Dialer).DialContext(t.Context(), "unix", socket)
		if err != nil {
			return
		}
		_ = conn.Close()
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("%s still answers", socket)
		}
	}
}
