// Package chromium drives a headless Chromium for tests, as a person would use it: pages, cookies, and
// an authenticator that holds passkeys.
//
// It speaks the DevTools protocol over a pipe, which takes no port, no library and no second WebSocket
// client: a message is JSON and a NUL. Chromium is installed if it is missing; a test that cannot have
// one fails.
package chromium

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/cardea/cardea/internal/localservices"
)

// patience is how long anything may take, on a busy machine.
const patience = 60 * time.Second

// Browser is a Chromium that ends with its test.
type Browser struct {
	t       *testing.T
	to      io.Writer
	mu      sync.Mutex
	last    int
	waiting map[int]chan message
	logged  map[string][]string // what pages complain of, by DevTools session
}

// message is what goes either way: a call, its result, or an event.
type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  any             `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// Open starts a Chromium with a profile of its own.
func Open(t *testing.T) *Browser {
	t.Helper()
	if err := localservices.Install(t.Context(), t.Output(), localservices.Chromium); err != nil {
		t.Fatalf("no browser: %v", err)
	}
	program, err := localservices.FindChromium()
	must(t, err)
	theirs, to, err := os.Pipe()
	must(t, err)
	from, ours, err := os.Pipe()
	must(t, err)
	ctx, kill := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, program, //nolint:gosec // one of the programs that were looked for
		"--headless", "--no-sandbox", "--disable-gpu",
		"--disable-dev-shm-usage", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(),
		"--remote-debugging-pipe", "about:blank")
	var said bytes.Buffer
	cmd.ExtraFiles, cmd.Stderr = []*os.File{theirs, ours}, &said // file 3 is read, file 4 written
	must(t, cmd.Start())
	_, _ = theirs.Close(), ours.Close()
	b := &Browser{t: t, to: to, waiting: map[int]chan message{}, logged: map[string][]string{}}
	read := make(chan struct{})
	go func() {
		defer close(read)
		b.read(from)
	}()
	t.Cleanup(func() {
		late := time.AfterFunc(patience, kill)
		defer late.Stop()
		defer kill()
		_ = b.send(message{ID: -1, Method: "Browser.close"})
		_ = cmd.Wait() // it may have died before; then a call has failed
		_, _ = to.Close(), from.Close()
		<-read
		if t.Failed() {
			t.Logf("the browser said:\n%s", said.String())
		}
	})
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (b *Browser) send(m message) error {
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	_, err = b.to.Write(append(raw, 0))
	return err
}

// read hands on results, and keeps complaints.
func (b *Browser) read(from io.Reader) {
	in := bufio.NewReader(from)
	for {
		raw, err := in.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(raw[:len(raw)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		switch m.Method {
		case "":
			if result := b.waiting[m.ID]; result != nil {
				result <- m
				delete(b.waiting, m.ID)
			}
		case "Log.entryAdded", "Runtime.exceptionThrown":
			if bytes.Contains(raw, []byte(`"source":"network"`)) {
				break // that an answer says 422 is no fault of the page
			}
			b.logged[m.Session] = append(b.logged[m.Session], string(raw[:len(raw)-1]))
		}
		b.mu.Unlock()
	}
}

// params are the named arguments of a DevTools method.
type params = map[string]any

// try calls a DevTools method of a session, or of the browser if that is "".
func (b *Browser) try(session, method string, with params, result any) error {
	answer := make(chan message, 1)
	b.mu.Lock()
	b.last++
	call := message{ID: b.last, Session: session, Method: method, Params: with}
	b.waiting[call.ID] = answer
	err := b.send(call)
	b.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case got := <-answer:
		if got.Error != nil {
			return fmt.Errorf("%s: %s", method, got.Error.Message)
		}
		if result != nil {
			return json.Unmarshal(got.Result, result)
		}
		return nil
	case <-time.After(patience):
		return fmt.Errorf("%s: no answer", method)
	}
}

func (b *Browser) call(session, method string, with params, result any) {
	b.t.Helper()
	must(b.t, b.try(session, method, with, result))
}
