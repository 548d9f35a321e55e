package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// serial is that of the controller in these tests: one of four doors.
const serial = 405419896

// TestAgentProcess is the program itself, for tests that kill it: it runs what is behind --.
func TestAgentProcess(t *testing.T) { //nolint:paralleltest // a program
	if args := flag.Args(); len(args) > 0 {
		if err := run(t.Context(), args, func(string) string { return "" }, os.Stdout, os.Stderr); err != nil {
			t.Fatal(err)
		}
	}
}

// yard is a node with a controller on site, which an agent links: the controller is the simulator that
// UHPPOTE's users test with.
type yard struct {
	*stage
	url                   string
	program, state, files string
	udp, rest             string
	simulator, agent      *exec.Cmd
	doors                 []string
}

func newYard(t *testing.T) *yard {
	t.Helper()
	y := &yard{stage: newStage(t), state: t.TempDir(), files: t.TempDir()}
	y.program = filepath.Join(t.TempDir(), "simulator")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", y.program,
		"github.com/uhppoted/uhppote-simulator/cmd/uhppote-simulator")
	build.Dir = "../../devicelink/uhppote/simulator"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	y.url = y.serve("api,link,worker")
	y.udp, y.rest = freePort(t, "udp"), freePort(t, "tcp")
	y.power()
	err := y.call(http.MethodPost, "", map[string]any{"device-id": serial, "device-type": "UT0311-L04"})
	if err != nil {
		t.Fatal(err)
	}
	y.link("-claim", y.claim, "-controller", fmt.Sprintf("%d@%s", serial, y.udp))
	y.until("the controller's doors are locked", func() bool {
		y.doors = nil
		for _, d := range y.bound() {
			if d.LockState == "LOCKED" {
				y.doors = append(y.doors, d.ID)
			}
		}
		return len(y.doors) == 2
	})
	return y
}

func freePort(t *testing.T, network string) string {
	t.Helper()
	if network == "udp" {
		conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() //nolint:errcheck // it was free
		return conn.LocalAddr().String()
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // it was free
	return l.Addr().String()
}

// power switches the controller on. What it knows is in a file.
func (y *yard) power() {
	y.t.Helper()
	y.simulator = y.start(exec.CommandContext(context.Background(), y.program,
		"--bind", y.udp, "--rest", y.rest, "--devices", y.files))
	y.until("the controller has power", func() bool { return y.call(http.MethodGet, "", nil) == nil })
}

// link starts the agent.
func (y *yard) link(more ...string) {
	y.t.Helper()
	args := append([]string{"-test.run=^TestAgentProcess$", "--", "agent", "uhppote", "-url", y.url,
		"-state", y.state, "-listen", "127.0.0.1:0", "-poll", "200ms"}, more...)
	y.agent = y.start(exec.CommandContext(context.Background(), os.Args[0], args...))
}

func (y *yard) start(cmd *exec.Cmd) *exec.Cmd {
	y.t.Helper()
	cmd.Stdout, cmd.Stderr = y.t.Output(), y.t.Output()
	if err := cmd.Start(); err != nil {
		y.t.Fatal(err)
	}
	y.t.Cleanup(func() { kill(cmd) })
	return cmd
}

func kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// call asks the simulator for something that happens on site.
func (y *yard) call(method, path string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(y.t.Context(), method,
		"http://"+y.rest+"/uhppote/simulator"+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // not read
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s %s: %s", method, path, response.Status)
	}
	return nil
}

// site does something at the controller, which must succeed.
func (y *yard) site(method, path string, body map[string]any) {
	y.t.Helper()
	if err := y.call(method, fmt.Sprintf("/%d%s", serial, path), body); err != nil {
		y.t.Fatal(err)
	}
}

func (y *yard) swipe(card uint32) {
	y.t.Helper()
	y.site(http.MethodPost, "/swipe", map[string]any{"door": 1, "card-number": card, "direction": 1})
}

// until waits for something.
func (y *yard) until(what string, is func() bool) {
	y.t.Helper()
	for begun := time.Now(); !is(); {
		if time.Since(begun) > limit {
			y.t.Fatalf("not within %v: %s", limit, what)
		}
		<-time.After(50 * time.Millisecond) // whoever asks all the time is refused
	}
}

// boundDoor is a door as the graph shows it.
type boundDoor struct{ ID, LockState, Position, Connectivity string }

// bound is the doors of the controller, while it is linked.
func (y *yard) bound() []boundDoor {
	y.t.Helper()
	var found struct {
		Doors struct{ Nodes []boundDoor }
	}
	y.ask(y.url, `{ doors(first: 50) { nodes { id lockState position connectivity } } }`, &found)
	return slices.DeleteFunc(found.Doors.Nodes,
		func(d boundDoor) bool { return d.Connectivity != "ONLINE" })
}

// told is an event of the audit log.
type told struct {
	Type, Delivery string
	Reason, Method *string
	User, Command  *struct{ ID string }
	Data           map[string]any
}

// log is what the audit log has of the controller and its doors, in order.
func (y *yard) log(types ...string) (all []told) {
	y.t.Helper()
	var found struct{ AuditLog struct{ Nodes []told } }
	y.ask(y.url, `{ auditLog(first: 100, filter: {types: ["`+strings.Join(types, `", "`)+`"]}) { nodes {
		type delivery reason method user { id } command { id } data } } }`, &found)
	slices.Reverse(found.AuditLog.Nodes) // the newest comes first
	return found.AuditLog.Nodes
}

func (y *yard) unlock(door string) order {
	y.t.Helper()
	var done struct{ UnlockDoor struct{ Command order } }
	y.ask(y.url, fmt.Sprintf(`mutation { unlockDoor(input: {doorId: %q}) { command {
		id stage confirmation endedAt } } }`, door), &done)
	return y.ended(y.url, done.UnlockDoor.Command)
}

// TestControllerOpens: an unlock energises the relay, and is confirmed by that; what the controller
// records of it is the command's, and nobody else's opening. A door that stands unlocked does so there.
func TestControllerOpens(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	c := y.unlock(y.doors[0])
	if c.Stage != "CONFIRMED" || c.Confirmation != "RELAY" {
		t.Fatalf("got %+v", c)
	}
	y.until("the door is locked again", func() bool { return y.first().LockState == "LOCKED" })
	opened := y.log("lock.unlocked")
	if len(opened) != 1 || opened[0].Command == nil || opened[0].Command.ID != c.ID {
		t.Errorf("opened by %+v", opened)
	}
	y.ask(y.url, fmt.Sprintf(`mutation { updateDoor(input: {id: %q, mode: UNLOCKED}) { door { id } } }`,
		y.doors[0]), new(any))
	y.until("the door stands unlocked", func() bool { return y.first().LockState == "UNLOCKED" })
	y.site(http.MethodPost, "/door/1", map[string]any{"action": "open"})
	y.until("the door is open", func() bool { return y.first().Position == "OPEN" })
	y.site(http.MethodPost, "/door/1", map[string]any{"action": "close"})
	y.until("the door is closed", func() bool { return y.first().Position == "CLOSED" })
	if forced := y.log("door.forced_open"); len(forced) != 0 {
		t.Errorf("told as forced: %+v", forced)
	}
}

// first is the first door of the controller, as the graph shows it.
func (y *yard) first() boundDoor {
	y.t.Helper()
	for _, d := range y.bound() {
		if d.ID == y.doors[0] {
			return d
		}
	}
	return boundDoor{}
}

// TestControllerRemembers: what happens while the agent, or the controller, has no power or no link, is
// told once, by the controller's records.
func TestControllerRemembers(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	refused := func(cards ...uint32) {
		t.Helper()
		for _, card := range cards {
			y.swipe(card)
		}
	}
	refused(1, 2)
	y.until("two are told", func() bool { return len(y.log("access.denied")) == 2 })
	kill(y.agent)
	refused(3, 4, 5)
	y.link()
	refused(6)
	y.until("the agent has caught up", func() bool { return len(y.log("access.denied")) == 6 })
	kill(y.simulator)
	y.until("the controller is known to be gone", func() bool { return len(y.bound()) == 0 })
	y.power()
	refused(7, 8)
	y.until("the rest is told", func() bool { return len(y.log("access.denied")) == 8 })
	kill(y.agent)
	kill(y.simulator)
	y.power()
	y.link()
	refused(9)
	y.until("the last is told", func() bool { return len(y.log("access.denied")) >= 9 })
	var records []float64
	for _, e := range y.log("access.denied") {
		records = append(records, e.Data["record"].(float64)) //nolint:forcetypeassert // it is one
		if *e.Reason != "UNKNOWN_CREDENTIAL" || *e.Method != "CARD" {
			t.Errorf("told of %+v", e)
		}
	}
	if !slices.Equal(records, []float64{1, 2, 3, 4, 5, 6, 7, 8, 9}) {
		t.Errorf("records %v", records)
	}
	if lost := y.log("device.events_lost"); len(lost) != 0 {
		t.Errorf("lost %+v", lost)
	}
}
