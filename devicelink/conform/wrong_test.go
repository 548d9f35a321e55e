package conform_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/devicelink/client"
	"github.com/cardea/cardea/devicelink/conform"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

// wrongs are what a device may do wrong, and the sentence that it breaks.
var wrongs = map[string]string{
	"links to any server":          "must be what enrolment gave",
	"speaks any version":           "of the protocol: 1.",
	"heeds any welcome":            "A device that finds no valid signature closes",
	"draws one nonce":              "32 random bytes, drawn for this link",
	"is silent about its door":     "For a door that is new at a port",
	"acknowledges nothing":         "A device sends ACKNOWLEDGED when",
	"reports what a result tells":  "A device sends ACKNOWLEDGED when",
	"relocks without a word":       "A device sends ACKNOWLEDGED when",
	"unlocks another door":         "If it is not the one that is bound to port",
	"heeds anybody":                "one of the keys that it has signed it;",
	"heeds any link":               "its epoch is that of this link;",
	"heeds any number":             "its sequence is greater than",
	"heeds others' commands":       "the device itself; it refuses",
	"heeds other organizations":    "as from enrolment; a device refuses",
	"heeds long commands":          "more than 30 seconds after issuedAt",
	"does things twice":            "A device remembers it until a minute",
	"forgets commands with links":  "It does nothing twice.",
	"tells nobody of refusals":     "at most one a minute",
	"tells of each refusal":        "at most one a minute",
	"ignores notAfter":             "From this instant on the device does not act",
	"goes by its own clock":        "From this instant on the device does not act",
	"goes by the welcome's coming": "Not since the welcome came",
	"cannot bear what is new":      "So version 1 can grow.",
	"hashes what it understands":   "So version 1 can grow.",
	"heeds no config":              "The doors have changed;",
	"heeds anybody's config":       "A mode opens doors too",
	"locks down with delay":        "and when it becomes so, it locks at once",
	"unlocks in a lockdown":        "An unlock that was acknowledged before a LOCKDOWN",
	"answers no time":              "The device answers each time at once",
	"keeps its idea of time":       "it is at least serverTime now.",
	"forgets its log":              "forgets an entry only when",
	"calls old news new":           "forgets an entry only when",
	"unlocks when it is back":      "Neither loss nor return of the link",
	"insists on refused entries":   "The device sets it aside",
	"takes any keys":               "only grows: a device refuses keys",
	"waits for ever":               "takes the server for gone and reconnects.",
	"makes no key":                 "It makes the next key and stores it",
	"proves no key":                "It makes the next key and stores it",
	"does not store its next key":  "As long as a device has two keys",
	"gives up its present key":     "If that is answered with UNKNOWN_DEVICE",
	"stays when it has rotated":    "It is told rotated, closes the link",
	"does not reconnect":           "Codes from 4000 to 4499",
	"answers twice":                "How far a command has come.",
	"leaves gaps in its log":       "Entries are numbered from 1 without gaps",
	"comes back":                   "A device that was told to go away",
}

// TestWrongDevicesAreFound: each device does one thing wrong, and the check of that fails. The same device
// without anything wrong passes.
func TestWrongDevicesAreFound(t *testing.T) {
	t.Parallel()
	var running sync.WaitGroup
	defer running.Wait()
	try := func(wrong, want string) {
		kit, url := bench(t, conform.Config{
			Answer: 6 * time.Second, Reconnect: 6 * time.Second, Silence: time.Second,
		})
		ctx, stop := context.WithCancel(context.Background())
		var device sync.WaitGroup
		running.Go(func() {
			device.Go(func() { newDevice(url, wrong).run(ctx, kit.ClaimCode) })
			var lines strings.Builder
			report := kit.Run(ctx, func(r conform.Result) { conform.Report{r}.WriteLines(&lines) })
			stop()
			device.Wait()
			if want == "" && report.Conforms() {
				return
			}
			for _, r := range report {
				if want != "" && r.Err != nil && strings.Contains(r.Sentence, want) {
					return
				}
			}
			t.Errorf("%s: not found where it was to be:\n%s", wrong, lines.String())
		})
	}
	try("", "")
	for wrong, sentence := range wrongs {
		try(wrong, sentence)
	}
}

// device is a small device that does one thing wrong.
type device struct {
	url, wrong string
	as         client.Identity

	mu       sync.Mutex
	conn     *websocket.Conn // while it is linked
	log      []devicelink.Frame
	sequence int64
	epoch    int64
	last     int64
	at       time.Time // when the server's clock showed showed
	showed   time.Time
	answered time.Time
	doors    map[int]devicelink.Door
	open     bool
	relock   *time.Timer
	seen     map[typeid.Command]bool
	told     time.Time
	refused  bool
}

func newDevice(url, wrong string) *device {
	return &device{
		url: url, wrong: wrong, doors: map[int]devicelink.Door{}, seen: map[typeid.Command]bool{},
	}
}

func (d *device) is(wrong string) bool {
	if _, known := wrongs[wrong]; !known {
		panic(wrong)
	}
	return d.wrong == wrong
}

// run enrols and links until ctx ends or it is told to go away.
func (d *device) run(ctx context.Context, claim string) {
	var err error
	d.as, err = client.Enrol(ctx, d.url, claim,
		client.Hardware{Serial: "W-1", Model: "wrong", Firmware: "1"})
	for err == nil && ctx.Err() == nil {
		code := d.link(ctx)
		d.mu.Lock()
		d.conn = nil
		next := d.as.NextKey != nil
		d.mu.Unlock()
		tryOther := code == devicelink.CloseUnknownDevice && next && !d.refused &&
			!d.is("gives up its present key")
		d.refused = tryOther
		if !code.Reconnect() && !tryOther && !d.is("comes back") ||
			code == devicelink.CloseRestart && d.is("does not reconnect") {
			return
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// link is one connection; it returns how the server ended it.
func (d *device) link(ctx context.Context) devicelink.CloseCode {
	wait := time.AfterFunc(time.Hour, func() {})
	defer wait.Stop()
	patience := time.Hour
	conn, _, err := websocket.Dial(ctx, d.url+d.as.LinkURL, &websocket.DialOptions{
		Subprotocols: []string{devicelink.Subprotocol},
		OnPingReceived: func(context.Context, []byte) bool {
			wait.Reset(patience)
			return true
		},
	})
	if err != nil {
		return 0
	}
	defer conn.CloseNow() //nolint:errcheck // the end
	welcome, asked, err := d.handshake(ctx, conn)
	if err != nil {
		return closeCode(err)
	}
	if !d.is("waits for ever") {
		patience = time.Duration(welcome.HeartbeatSeconds) * time.Second * 7 / 4
	}
	wait.Stop()
	wait = time.AfterFunc(patience, func() { _ = conn.CloseNow() })
	d.begin(conn, welcome, asked)
	for {
		_, text, err := conn.Read(ctx)
		if err != nil {
			return d.lost(err)
		}
		frame, err := d.decode(text)
		if errors.Is(err, devicelink.ErrUnknownFrame) {
			continue
		}
		if err != nil || d.hear(frame) != nil {
			return 0
		}
	}
}

func closeCode(err error) devicelink.CloseCode {
	if code := websocket.CloseStatus(err); code != -1 {
		return devicelink.CloseCode(code)
	}
	return 0
}

func (d *device) lost(err error) devicelink.CloseCode {
	d.mu.Lock()
	defer d.mu.Unlock()
	var closed websocket.CloseError
	if errors.As(err, &closed) && closed.Code == 4001 && !d.is("insists on refused entries") {
		for i, entry := range d.log {
			if strconv.FormatInt(client.Sequence(entry), 10) == closed.Reason {
				d.log = append(d.log[:i:i], d.log[i+1:]...)
				break
			}
		}
	}
	if d.is("forgets its log") {
		d.log = nil
	}
	return closeCode(err)
}

func (d *device) decode(text []byte) (devicelink.Frame, error) {
	if d.is("cannot bear what is new") {
		return devicelink.Decode(text)
	}
	frame, err := devicelink.DecodeAsDevice(text)
	if config, ok := frame.(*devicelink.Config); ok && d.is("hashes what it understands") {
		frame = &devicelink.Config{Doors: config.Doors, Signed: config.Signed}
	}
	return frame, err
}

// shows is the identity with the key that it signs with this time.
func (d *device) shows() client.Identity {
	as := d.as
	if as.NextKey != nil && !d.refused && !d.is("does not store its next key") {
		as.Key, as.NextKey = as.NextKey, nil
	}
	return as
}

func (d *device) handshake(
	ctx context.Context, conn *websocket.Conn,
) (*devicelink.Welcome, time.Time, error) {
	_, text, err := conn.Read(ctx)
	if err != nil {
		return nil, time.Time{}, err
	}
	challenge := &devicelink.Challenge{}
	if err := json.Unmarshal(text, challenge); err != nil {
		return nil, time.Time{}, err
	}
	if challenge.ServerName != d.as.ServerName && !d.is("links to any server") ||
		challenge.Version != devicelink.Version && !d.is("speaks any version") {
		return nil, time.Time{}, errors.New("another server")
	}
	as := d.shows()
	hello := as.Hello(challenge, 1, "1", time.Now())
	if d.is("draws one nonce") {
		hello.Nonce = devicelink.Nonce{1}
		hello.Sign(as.Key, challenge)
	}
	asked := time.Now()
	if err := d.write(conn, hello); err != nil {
		return nil, asked, err
	}
	if _, text, err = conn.Read(ctx); err != nil {
		return nil, asked, err
	}
	frame, err := devicelink.DecodeAsDevice(text)
	welcome, ok := frame.(*devicelink.Welcome)
	if err != nil || !ok ||
		!welcome.SignedBy(d.as.ServerKeys, challenge, hello) && !d.is("heeds any welcome") {
		return nil, asked, errors.New("no welcome")
	}
	d.as = as
	if d.is("goes by the welcome's coming") {
		asked = time.Now()
	}
	return welcome, asked, nil
}

func (d *device) write(conn *websocket.Conn, f devicelink.Frame) error {
	text, err := devicelink.Encode(f)
	if err != nil {
		return err
	}
	return conn.Write(context.Background(), websocket.MessageText, text)
}

func (d *device) begin(conn *websocket.Conn, w *devicelink.Welcome, asked time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conn, d.epoch, d.last, d.showed, d.at = conn, w.Epoch, 0, w.ServerTime, asked
	d.answered = time.Time{}
	if d.is("forgets commands with links") {
		clear(d.seen)
	}
	d.forget(w.Sequence)
	for _, entry := range d.log {
		if !d.is("calls old news new") {
			late(entry)
		}
		_ = d.write(conn, entry)
	}
	back := len(d.doors) > 0
	d.adopt(w.Doors)
	if back && d.is("unlocks when it is back") {
		d.moves(true)
		d.moves(false)
	}
	if d.as.NextKey != nil {
		d.offer()
	}
}

func late(entry devicelink.Frame) {
	switch entry := entry.(type) {
	case *devicelink.Report:
		entry.Buffered = true
	case *devicelink.Result:
		entry.Buffered = true
	}
}

func (d *device) forget(upTo int64) {
	for len(d.log) > 0 && client.Sequence(d.log[0]) <= upTo {
		d.log = d.log[1:]
	}
}

// tell logs an entry; d.mu is held.
func (d *device) tell(entry devicelink.Frame) {
	d.sequence++
	if d.sequence == 5 && d.is("leaves gaps in its log") {
		d.sequence++
	}
	at := time.Now().UTC().Truncate(time.Microsecond)
	switch entry := entry.(type) {
	case *devicelink.Report:
		entry.Sequence, entry.At, entry.Buffered = d.sequence, at, d.conn == nil
	case *devicelink.Result:
		entry.Sequence, entry.At, entry.Buffered = d.sequence, at, d.conn == nil
	}
	d.log = append(d.log, entry)
	if d.conn != nil {
		_ = d.write(d.conn, entry)
	}
}

func (d *device) adopt(doors []devicelink.Door) {
	for _, is := range doors {
		before := d.doors[is.Port]
		d.doors[is.Port] = is
		if before.DoorID != is.DoorID && !d.is("is silent about its door") {
			d.tell(&devicelink.Report{Port: is.Port, Event: "lock.locked", LockState: "LOCKED"})
		}
		switch {
		case is.Mode == door.ModeUNLOCKED:
			d.moves(true)
		case is.Mode != before.Mode && !(is.Mode == door.ModeLOCKDOWN && d.is("locks down with delay")):
			d.moves(false)
		}
	}
}

// moves moves the bolt, and reports it.
func (d *device) moves(open bool) {
	if d.open == open {
		return
	}
	d.open = open
	if d.relock != nil {
		d.relock.Stop()
	}
	report := &devicelink.Report{Port: 1, Event: "lock.locked", LockState: "LOCKED"}
	if open {
		report.Event, report.LockState = "lock.unlocked", "UNLOCKED"
	}
	d.tell(report)
}

// now is its idea of the server's clock.
func (d *device) now() time.Time {
	if d.is("goes by its own clock") {
		return time.Now()
	}
	return d.showed.Add(time.Since(d.at))
}

func (d *device) hear(f devicelink.Frame) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if ack, ok := f.(*devicelink.Ack); ok {
		d.forget(ack.Sequence)
		return nil
	}
	order, ok := f.(devicelink.Order)
	if !ok {
		return nil
	}
	if !d.heeds(order) {
		if !d.is("tells nobody of refusals") &&
			(time.Since(d.told) > time.Minute || d.is("tells of each refusal")) {
			d.told = time.Now()
			d.tell(&devicelink.Report{Event: "device.order_refused", Data: json.RawMessage(`{"count":1}`)})
		}
		return nil
	}
	return d.obey(order)
}

func (d *device) heeds(o devicelink.Order) bool {
	_, config := o.(*devicelink.Config)
	anybody := d.is("heeds anybody") || config && d.is("heeds anybody's config")
	signed := devicelink.SignedOf(o)
	switch {
	case !devicelink.SignedBy(o, d.as.ServerKeys, d.as.Device) && !anybody,
		signed.Epoch != d.epoch && !d.is("heeds any link"),
		signed.Sequence <= d.last && !d.is("heeds any number"):
		return false
	}
	switch f := o.(type) {
	case *devicelink.Command:
		if f.DeviceID != d.as.Device && !d.is("heeds others' commands") ||
			f.OrganizationID != d.as.Organization && !d.is("heeds other organizations") ||
			f.NotAfter.Sub(f.IssuedAt) > 30*time.Second && !d.is("heeds long commands") ||
			d.seen[f.CommandID] && !d.is("does things twice") {
			return false
		}
		d.seen[f.CommandID] = true
	case *devicelink.Keys:
		if f.Version <= d.as.KeysVersion && !d.is("takes any keys") {
			return false
		}
	}
	if !anybody && !d.is("heeds any number") {
		d.last = signed.Sequence
	}
	return true
}

func (d *device) obey(o devicelink.Order) error {
	switch f := o.(type) {
	case *devicelink.Command:
		d.command(f)
	case *devicelink.Config:
		if !d.is("heeds no config") {
			d.adopt(f.Doors)
		}
	case *devicelink.Keys:
		d.as.ServerKeys, d.as.KeysVersion = f.ServerKeys, f.Version
	case *devicelink.Time:
		d.time(f)
	case *devicelink.Renew:
		if d.as.NextKey == nil && !d.is("makes no key") {
			_, d.as.NextKey, _ = ed25519.GenerateKey(nil)
		}
		if d.as.NextKey != nil {
			d.offer()
		}
	case *devicelink.Rotated:
		if !d.is("stays when it has rotated") {
			return errors.New("rotated")
		}
	}
	return nil
}

func (d *device) time(f *devicelink.Time) {
	if !f.HeardAt.IsZero() && !d.answered.IsZero() {
		d.showed, d.at = f.HeardAt, d.answered
	}
	if d.now().Before(f.ServerTime) && !d.is("keeps its idea of time") {
		d.showed, d.at = f.ServerTime, time.Now()
	}
	d.answered = time.Now()
	if !d.is("answers no time") {
		_ = d.write(d.conn, &devicelink.Clock{Answers: f.Sequence, At: d.answered.UTC().Truncate(time.Second)})
	}
}

func (d *device) offer() {
	offer := &devicelink.Rotate{}
	offer.Sign(d.as.Key, d.as.NextKey, d.as.Device, d.epoch)
	if d.is("proves no key") {
		offer.Proof = devicelink.Signature{}
	}
	_ = d.write(d.conn, offer)
}

func (d *device) command(c *devicelink.Command) {
	answer := func(stage command.Stage, why schema.Reason) {
		result := &devicelink.Result{
			CommandID: c.CommandID, Port: c.Port, Stage: stage, Reason: why,
		}
		if stage == command.StageCONFIRMED {
			result.Confirmation, result.LockState = command.ConfirmationLOCK_STATE, "UNLOCKED"
		}
		d.tell(result)
	}
	is := d.doors[c.Port]
	switch {
	case !d.now().Before(c.NotAfter) && !d.is("ignores notAfter"):
		answer(command.StageEXPIRED, "EXPIRED_BEFORE_DELIVERY")
		return
	case is.DoorID != c.DoorID && !d.is("unlocks another door"):
		answer(command.StageREJECTED, "UNSUPPORTED")
		return
	}
	if !d.is("acknowledges nothing") {
		answer(command.StageACKNOWLEDGED, "")
	}
	time.AfterFunc(20*time.Millisecond, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.doors[c.Port].Mode == door.ModeLOCKDOWN && !d.is("unlocks in a lockdown") {
			answer(command.StageFAILED, "LOCKDOWN")
			return
		}
		if d.is("reports what a result tells") {
			d.moves(true)
		}
		d.open = true
		answer(command.StageCONFIRMED, "")
		if d.is("answers twice") {
			answer(command.StageCONFIRMED, "")
		}
		d.relock = time.AfterFunc(time.Duration(c.Seconds)*time.Second, func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.open && d.is("relocks without a word") {
				d.open = false
			}
			d.moves(false)
		})
	})
}
