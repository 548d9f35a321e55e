// Package conform checks a device against docs/protocol.md. A Kit stands in the server's place: the
// device enrols and links to it, and the kit does with the link what servers, networks and attackers do.
// It sees what the device tells: its log, its answers, how it links and when it closes.
//
//   - Each check is named after a sentence of the document.
//   - What a device does is judged by what it reports, so one that acts and says nothing is found only by
//     what follows: a lock that locks again by itself.
//   - A kit tells the device that its clock is right, whatever it shows; its own is an hour ahead, so that
//     a device which judges deadlines by its own clock is found.
//
// The package imports devicelink for the frames and their encoding, Ent's enumerations, typeid and the
// WebSocket library.
package conform

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/typeid"
)

// Config is what a Kit needs. The zero value is one for a device with port 1.
type Config struct {
	Port int // of the device, where a door is bound; zero means 1
	// Reconnect is how long a device may take to link again; zero means 40 s, as a pause is at most 30 s.
	Reconnect time.Duration
	// Answer is how long a device may take to do something at once; zero means 10 s.
	Answer time.Duration
	// Silence is how long a device that was told to go away is watched; zero means 35 s.
	Silence time.Duration
	// Enrol is how long the kit waits for the device to enrol; zero means 10 minutes.
	Enrol time.Duration
}

// Kit checks one device. It is the handler that the device enrols at and links to.
type Kit struct {
	// ClaimCode is what the device enrols with.
	ClaimCode string

	config   Config
	mux      http.ServeMux
	keys     *devicelink.Keyring // of the server that the kit is
	next     *devicelink.Keyring // those that come after them, and they
	stranger *devicelink.Keyring // nobody's
	device   typeid.Device
	org      typeid.Organization
	door     typeid.Door

	enrolled chan devicelink.Enrolment
	arrivals chan *peer

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced whenever something is heard
	heard    []said
	log      map[int64]string // what the device has logged, but for what may change
	last     int64            // the last entry of it
	aside    int64            // the entry that it was told to set aside
	withhold bool             // acknowledgements
	faults   []error          // what no device may ever do
	peers    int
}

// said is one frame of the device.
type said struct {
	frame devicelink.Frame
	at    time.Time
	link  int
}

// New returns a kit for one device.
func New(cfg Config) (*Kit, error) {
	for of, standard := range map[*time.Duration]time.Duration{
		&cfg.Reconnect: 40 * time.Second, &cfg.Answer: 10 * time.Second,
		&cfg.Silence: 35 * time.Second, &cfg.Enrol: 10 * time.Minute,
	} {
		if *of == 0 {
			*of = standard
		}
	}
	if cfg.Port == 0 {
		cfg.Port = 1
	}
	k := &Kit{
		ClaimCode: "C0NF-0RM5-" + rand.Text()[:4] + "-" + rand.Text()[:4], config: cfg,
		device: typeid.New[typeid.Device](), org: typeid.New[typeid.Organization](),
		door:     typeid.New[typeid.Door](),
		enrolled: make(chan devicelink.Enrolment, 1), arrivals: make(chan *peer, 64),
		changed: make(chan struct{}), log: map[int64]string{},
	}
	seeds := [3][]byte{}
	for i := range seeds {
		seeds[i] = make([]byte, 32)
		_, _ = rand.Read(seeds[i]) // never fails
	}
	var faults [3]error
	k.keys, faults[0] = devicelink.NewKeyring(seeds[0])
	k.next, faults[1] = devicelink.NewKeyring(seeds[1], seeds[0])
	k.stranger, faults[2] = devicelink.NewKeyring(seeds[2])
	if err := errors.Join(faults[:]...); err != nil {
		return nil, fmt.Errorf("make keys: %w", err)
	}
	k.mux.HandleFunc("POST "+devicelink.EnrolPath, k.enrol)
	k.mux.HandleFunc("GET "+devicelink.LinkPath, k.link)
	return k, nil
}

// serverName is what the kit's challenges name.
const serverName = "conformance.example.com"

// ahead is how far the kit's clock is ahead of this machine's.
const ahead = time.Hour

func now() time.Time { return time.Now().Add(ahead).UTC().Truncate(time.Microsecond) }

// ServeHTTP implements http.Handler.
func (k *Kit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Origin") != "" {
		k.fault("it sends the header Origin")
	}
	k.mux.ServeHTTP(w, r)
}

func (k *Kit) enrol(w http.ResponseWriter, r *http.Request) {
	var claim devicelink.Enrolment
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10))
	body.DisallowUnknownFields()
	refuse := func(status int, why string) {
		k.fault("enrolment: " + why)
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(devicelink.Refusal{Code: "BAD_USER_INPUT", Message: why})
	}
	if err := body.Decode(&claim); err != nil {
		refuse(http.StatusBadRequest, err.Error())
		return
	}
	if claim.ClaimCode != k.ClaimCode {
		refuse(http.StatusNotFound, "another claim code")
		return
	}
	select {
	case k.enrolled <- claim:
	default:
		refuse(http.StatusNotFound, "the claim code was used")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(devicelink.Enrolled{
		DeviceID: k.device, OrganizationID: k.org, LinkURL: devicelink.LinkPath,
		ServerName: serverName, ServerKeys: k.keys.Public(),
	})
}

func (k *Kit) link(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{devicelink.Subprotocol}, CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		k.fault("no WebSocket handshake: " + err.Error())
		return
	}
	if conn.Subprotocol() != devicelink.Subprotocol {
		k.fault("it does not ask for " + devicelink.Subprotocol)
	}
	k.mu.Lock()
	k.peers++
	p := &peer{kit: k, conn: conn, number: k.peers, signer: k.keys.Newest(), ended: make(chan struct{})}
	k.mu.Unlock()
	select {
	case k.arrivals <- p:
	default:
		_ = conn.CloseNow()
	}
}

// fault takes note of what no device may do.
func (k *Kit) fault(what string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.faults = append(k.faults, errors.New(what))
}

// Result is what came of a check.
type Result struct {
	Sentence string // of docs/protocol.md
	Err      error  // nil: the device does as it says
	Untried  bool   // because of one before it
}

// Report is what came of all checks, in their order.
type Report []Result

// Conforms says whether the device passed every check.
func (r Report) Conforms() bool {
	for _, result := range r {
		if result.Err != nil || result.Untried {
			return false
		}
	}
	return true
}

// WriteLines prints the results, a line for each check, and another for why it failed.
func (r Report) WriteLines(to io.Writer) {
	for _, result := range r {
		verdict, why := "pass", ""
		switch {
		case result.Untried:
			verdict = "----"
		case result.Err != nil:
			verdict, why = "FAIL", "      "+result.Err.Error()+"\n"
		}
		_, _ = fmt.Fprintf(to, "%s  %s\n%s", verdict, result.Sentence, why)
	}
}

// Summary counts the results.
func (r Report) Summary() string {
	var failed, untried int
	for _, result := range r {
		if result.Untried {
			untried++
		} else if result.Err != nil {
			failed++
		}
	}
	return fmt.Sprintf("%d passed, %d failed, %d not tried", len(r)-failed-untried, failed, untried)
}

// Run checks the device from its enrolment on, tells each result as it comes, and returns them all.
func (k *Kit) Run(ctx context.Context, tell func(Result)) Report {
	r := &run{Kit: k, ctx: ctx}
	defer r.close()
	var report Report
	over := false
	for _, c := range script {
		result := Result{Sentence: c.sentence, Untried: over}
		if !over {
			result.Err = c.do(r)
			over = ctx.Err() != nil || result.Err != nil && c.vital
		}
		tell(result)
		report = append(report, result)
	}
	return report
}

// Sentences are what the checks are named after.
func Sentences() (all []string) {
	for _, c := range script {
		all = append(all, c.sentence)
	}
	return all
}
