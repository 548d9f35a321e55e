package uhppote

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/devicelink/client"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

// serial is that of the controller in these tests: one of four doors.
const serial = 405419896

// limit bounds every wait.
const limit = 30 * time.Second

// site is a controller, as UHPPOTE's users simulate it, with an agent, and a wire between them that can
// lose what it carries. The test is Cardea.
type site struct {
	*Agent
	t     *testing.T
	rest  string
	files string
	deaf  atomic.Bool // the wire loses answers to open
	doors []devicelink.Door
	power *exec.Cmd
}

// newSite switches a controller on that has recorded so many things before.
func newSite(t *testing.T, records string) *site {
	t.Helper()
	s := &site{t: t, files: t.TempDir()}
	program := filepath.Join(t.TempDir(), "simulator")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program,
		"github.com/uhppoted/uhppote-simulator/cmd/uhppote-simulator")
	build.Dir = "simulator"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if records != "" {
		text := fmt.Sprintf(`{"serial-number": %d, "version": "0892", "listener": "0.0.0.0:0",
			"MAC": "12:34:56:78:9a:bc", "address": "0.0.0.0", "subnet": "0.0.0.0", "gateway": "0.0.0.0", "offset": "0s",
			"events": %s}`, serial, records)
		if err := os.WriteFile(filepath.Join(s.files, "one.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	udp := free(t)
	s.rest = free(t)
	s.power = exec.CommandContext(context.WithoutCancel(t.Context()), program,
		"--bind", udp, "--rest", s.rest, "--devices", s.files)
	s.power.Stderr = t.Output()
	if err := s.power.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.power.Process.Kill()
		_ = s.power.Wait()
	})
	s.until("the simulator answers", func() bool {
		return s.call(http.MethodPost, "", map[string]any{
			"device-id": serial, "device-type": "UT0311-L04"}) == nil
	})
	a, err := New(Config{
		Identity: client.Identity{Device: typeid.New[typeid.Device]()}, Serial: serial,
		Address: s.wire(udp), LogPath: filepath.Join(t.TempDir(), "log"),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Agent = a
	for port := 1; port <= 2; port++ {
		s.doors = append(s.doors, devicelink.Door{
			Port: port, DoorID: typeid.New[typeid.Door](), Mode: door.ModeCONTROLLED, RelockSeconds: 2,
			HeldOpenSeconds: 60,
		})
	}
	if err := a.reach(t.Context()); err != nil {
		t.Fatal(err)
	}
	device{a}.Linked(&devicelink.Welcome{Doors: s.doors})
	s.turn()
	return s
}

func free(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // it was free
	return l.Addr().String()
}

// wire carries datagrams to an address and back, and returns where it begins.
func (s *site) wire(to string) netip.AddrPort {
	s.t.Helper()
	in, err := new(net.ListenConfig).ListenPacket(s.t.Context(), "udp4", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = in.Close() })
	go func() {
		for buffer := make([]byte, 128); ; {
			n, from, err := in.ReadFrom(buffer)
			if err != nil {
				return
			}
			request := bytes.Clone(buffer[:n])
			go s.carryOver(in, from, to, request)
		}
	}()
	return in.LocalAddr().(*net.UDPAddr).AddrPort()
}

func (s *site) carryOver(in net.PacketConn, from net.Addr, to string, request []byte) {
	out, err := net.Dial("udp4", to)
	if err != nil {
		return
	}
	defer out.Close() //nolint:errcheck // of a test's wire
	_ = out.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = out.Write(request)
	buffer := make([]byte, 128)
	n, err := out.Read(buffer)
	if err == nil && (request[1] != fnOpen || !s.deaf.Load()) {
		_, _ = in.WriteTo(buffer[:n], from)
	}
}

func (s *site) call(method, path string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(s.t.Context(), method,
		"http://"+s.rest+"/uhppote/simulator"+path, bytes.NewReader(text))
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

func (s *site) swipe(card uint32) {
	s.t.Helper()
	err := s.call(http.MethodPost, fmt.Sprintf("/%d/swipe", serial),
		map[string]any{"door": 1, "card-number": card, "direction": 1})
	if err != nil {
		s.t.Fatal(err)
	}
}

// turn has the agent do what there is to do, once.
func (s *site) turn() {
	s.t.Helper()
	if err := s.round(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) until(what string, is func() bool) {
	s.t.Helper()
	for begun := time.Now(); !is(); {
		if time.Since(begun) > limit {
			s.t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// unlock has the first door unlocked, and waits until nothing more can be said of it.
func (s *site) unlock() typeid.Command {
	s.t.Helper()
	c := &devicelink.Command{
		CommandID: typeid.New[typeid.Command](), Verb: command.VerbUNLOCK, DoorID: s.doors[0].DoorID,
		Port: 1, Seconds: 2, NotAfter: time.Now().Add(10 * time.Second),
	}
	device{s.Agent}.Heard(c)
	device{s.Agent}.Heard(c) // twice
	s.orders.Wait()
	s.turn()
	return c.CommandID
}

// stages is what was said of a command.
func (s *site) stages(id typeid.Command) (said []command.Stage) {
	for _, entry := range s.log.Entries() {
		if r, is := entry.(*devicelink.Result); is && r.CommandID == id {
			said = append(said, r.Stage)
		}
	}
	return said
}

// reports is what was reported of a kind.
func (s *site) reports(kind string) (all []*devicelink.Report) {
	for _, entry := range s.log.Entries() {
		if r, is := entry.(*devicelink.Report); is && r.Event == kind {
			all = append(all, r)
		}
	}
	return all
}

// TestUnlockIsHonest: CONFIRMED is what was seen, and nothing is said of what nothing shows.
func TestUnlockIsHonest(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	if got := s.stages(s.unlock()); !slices.Equal(got,
		[]command.Stage{command.StageACKNOWLEDGED, command.StageCONFIRMED}) {
		t.Errorf("open: %v", got)
	}
	if strange := s.reports("lock.unlocked"); len(strange) != 0 {
		t.Errorf("it is told as somebody else's: %s", strange[0].Data)
	}
	// Somebody has the door always closed: the controller says yes, and the relay rests.
	must(t, s.controller.control(t.Context(), 1, control{normallyClosed, 2}))
	if got := s.stages(s.unlock()); !slices.Equal(got,
		[]command.Stage{command.StageACKNOWLEDGED, command.StageFAILED}) {
		t.Errorf("always closed: %v", got)
	}
	s.deaf.Store(true) // and now its yes is lost too
	if got := s.stages(s.unlock()); !slices.Equal(got, []command.Stage{command.StageACKNOWLEDGED}) {
		t.Errorf("nothing shows it: %v", got)
	}
	s.deaf.Store(false)
	must(t, s.power.Process.Kill())
	id := typeid.New[typeid.Command]()
	device{s.Agent}.Heard(&devicelink.Command{
		CommandID: id, Verb: command.VerbUNLOCK, DoorID: s.doors[0].DoorID, Port: 1, Seconds: 2,
		NotAfter: time.Now().Add(10 * time.Second),
	})
	s.orders.Wait()
	if got := s.stages(id); !slices.Equal(got, []command.Stage{command.StageACKNOWLEDGED, command.StageFAILED}) {
		t.Errorf("no power: %v", got)
	}
}

// TestLateIsNotDone: a command at its deadline opens nothing, nor one behind a lockdown.
func TestLateIsNotDone(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	c := &devicelink.Command{
		CommandID: typeid.New[typeid.Command](), Verb: command.VerbUNLOCK, DoorID: s.doors[0].DoorID,
		Port: 1, Seconds: 2, NotAfter: time.Now(),
	}
	device{s.Agent}.Heard(c)
	s.doors[0].Mode = door.ModeLOCKDOWN
	device{s.Agent}.Heard(&devicelink.Config{Doors: s.doors})
	shut := s.unlock()
	if got := s.stages(c.CommandID); !slices.Equal(got, []command.Stage{command.StageEXPIRED}) {
		t.Errorf("late: %v", got)
	}
	if got := s.stages(shut); !slices.Equal(got, []command.Stage{command.StageACKNOWLEDGED, command.StageFAILED}) {
		t.Errorf("in lockdown: %v", got)
	}
	if last, err := s.controller.event(t.Context(), newest); err != nil || last.Kind != kindNone {
		t.Errorf("the controller was asked: %+v, %v", last, err)
	}
	if state, err := s.controller.ask(t.Context(), doorOf(1)); err != nil ||
		state.control() != (control{normallyClosed, 2}) {
		t.Errorf("the door is %+v, %v", state.control(), err)
	}
}

func doorOf(port byte) packet {
	p := newPacket(0x82, serial)
	p[8] = port
	return p
}

// TestStrangersOpening is told as that.
func TestStrangersOpening(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	must(t, s.controller.open(t.Context(), 1))
	s.turn()
	told := s.reports("lock.unlocked")
	if len(told) == 0 || !bytes.Contains(told[0].Data, []byte(`"commanded":false`)) {
		t.Errorf("told %+v", told)
	}
}

// TestOverwrittenIsAHole: what the controller recorded and overwrote before it was read is not passed
// over in silence.
func TestOverwrittenIsAHole(t *testing.T) {
	t.Parallel()
	s := newSite(t, `{"size": 16, "chunk": 8, "index": 0, "events": [
		{"index": 70, "type": 1, "door": 1, "direction": 1, "card": 9, "reason": 18,
		"timestamp": "2026-01-01 00:00:00"}]}`)
	if told := s.reports("access.denied"); len(told) != 0 {
		t.Fatalf("what was before the agent came is told: %+v", told)
	}
	before := s.log.Written()
	for card := range uint32(30) {
		s.swipe(100 + card)
	}
	s.turn()
	told := s.reports("access.denied")
	lost := s.log.Written() - before - int64(len(told))
	if len(told) == 0 || len(told) >= 30 || int(lost)+len(told) != 30 || s.log.Mark() != 101 {
		t.Errorf("%d told, %d lost, mark %d", len(told), lost, s.log.Mark())
	}
	s.turn()
	if again := s.reports("access.denied"); len(again) != len(told) {
		t.Errorf("%d told twice", len(again)-len(told))
	}
}

// TestClockIsSet once it was told how wrong it is.
func TestClockIsSet(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	must(t, s.controller.setTime(t.Context(), time.Now().Add(-10*time.Minute)))
	must(t, s.measure(t.Context()))
	if wrong := time.Until(s.clock()); wrong > -9*time.Minute {
		t.Errorf("the hello would say %v", wrong)
	}
	s.turn()
	at, err := s.controller.time(t.Context())
	if off := time.Since(at); err != nil || off.Abs() > 3*time.Second {
		t.Errorf("it is %v off, %v", off, err)
	}
	var data struct{ SkewMilliseconds int64 }
	if told := s.reports("device.clock_set"); len(told) != 1 || json.Unmarshal(told[0].Data, &data) != nil ||
		data.SkewMilliseconds > -590_000 || data.SkewMilliseconds < -610_000 {
		t.Errorf("told %d, of %d ms", len(told), data.SkewMilliseconds)
	}
}

// TestCards: the controller lets in whom the list lets in, by their cards, and nobody when another list
// has them no more; who came is told, with the credential and without the card's number.
func TestCards(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	who := Card{
		Credential: typeid.New[typeid.Credential](), User: typeid.New[typeid.User](),
		Format: wiegand26, Facility: 18, Number: 12345,
	}
	other := Card{User: typeid.New[typeid.User](), Format: csn32, Number: 77}
	now := time.Now()
	list := List{
		Sequence: 5, At: now, NotAfter: now.Add(24 * time.Hour), Cards: []Card{who, other},
		Sheets: map[int]verdict.Sheet{1: {People: map[typeid.User][]verdict.Span{
			who.User:   {{From: now, Until: now.Add(24 * time.Hour)}},
			other.User: {{From: now.Add(2 * time.Hour), Until: now.Add(3 * time.Hour)}},
		}}},
	}
	s.Heed(list)
	s.turn()
	s.swipe(1812345)
	s.swipe(77)
	s.swipe(99)
	s.turn()
	gone := list
	gone.Sequence, gone.Cards = 6, []Card{other}
	s.Heed(gone)
	s.Heed(list) // it is older
	s.turn()
	s.swipe(1812345)
	s.turn()
	granted, denied := s.reports("access.granted"), s.reports("access.denied")
	if len(granted) != 1 || granted[0].UserID != who.User || granted[0].Reason != schema.ReasonGranted ||
		!bytes.Contains(granted[0].Data, []byte(who.Credential.String())) {
		t.Errorf("granted %+v", granted)
	}
	var why []schema.Reason
	for _, r := range denied {
		why = append(why, r.Reason)
	}
	if !slices.Equal(why, []schema.Reason{
		schema.ReasonOutsideSchedule, schema.ReasonUnknownCredential, schema.ReasonNoGrant,
	}) || denied[0].UserID != other.User || denied[2].UserID != who.User {
		t.Errorf("denied for %v", why)
	}
	for _, entry := range s.log.Entries() {
		if text, err := devicelink.Encode(entry); err != nil || bytes.Contains(text, []byte("1812345")) {
			t.Errorf("%s, %v", text, err)
		}
	}
	if applied := s.reports("device.list_applied"); len(applied) != 2 ||
		!bytes.Contains(applied[1].Data, []byte(`"sequence":6`)) {
		t.Errorf("applied %+v", applied)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
