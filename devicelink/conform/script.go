package conform

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/typeid"
)

// check is one sentence of the document, and what shows that a device heeds it.
type check struct {
	sentence string
	vital    bool // nothing after it makes sense without it
	do       func(r *run) error
}

// script is all checks. Each goes on where the one before it left the device.
var script = []check{
	{"The device makes an Ed25519 key pair (RFC 8032); the private key never leaves it.", true, enrols},
	{"must be what enrolment gave. If it is not, the device closes: it is talking to the wrong server",
		false, closesOnAnotherServer},
	{"of the protocol: 1. A device that expects another one closes", false, closesOnAnotherVersion},
	{"signature, 64 bytes, over the transcript of cardea.device.v1 hello", true, says},
	{"A device that finds no valid signature closes, forgets what the frame says, and reconnects as after " +
		"any end.", false, closesOnForgedWelcome},
	{"32 random bytes, drawn for this link", false, drawsNonces},
	{"For a door that is new at a port, the device reports once how its lock and leaf are.", true,
		tellsOfDoors},
	{"the device answers with a pong, as any WebSocket library does.", false, answersPings},
	{"A device sends ACKNOWLEDGED when it takes a command on, and one of the others when that is decided.",
		true, runsCommands},
	{"When the lock locks again by itself, that is a report.", false, (*run).opens},
	{"If it is not the one that is bound to port, the device answers REJECTED, UNSUPPORTED", true,
		(*run).probe},
	{"A device heeds an order only if all of this is so: one of the keys that it has signed it;", false,
		refusesForged},
	{"its epoch is that of this link;", false, refusesOtherLinks},
	{"its sequence is greater than that of every order that the device heeded on this link.", false,
		refusesOldNumbers},
	{"the device itself; it refuses a command for another", false, refusesOtherDevices},
	{"as from enrolment; a device refuses a command of another", false, refusesOtherOrganizations},
	{"It refuses a command for which this is more than 30 seconds after issuedAt", false, refusesLongOnes},
	{"A device remembers it until a minute after notAfter, over all links, and refuses a command that it " +
		"has seen", false, refusesAgain},
	{"Otherwise it does nothing and answers nothing;", false, staysQuiet},
	{"at most one a minute, the first at once.", false, tellsOfRefusals},
	{"From this instant on the device does not act, and answers EXPIRED.", false, refusesLate},
	{"So version 1 can grow.", false, ignoresUnknown},
	{"The doors have changed; doors is as in the welcome and replaces it whole.", false, heedsConfig},
	{"A mode opens doors too, so what tells of it is signed as a command is.", false, refusesForgedConfig},
	{"and when it becomes so, it locks at once, without waiting for a relock delay;", false, locksAtOnce},
	{"An unlock that was acknowledged before a LOCKDOWN and not carried out is not carried out:", false,
		unlocksNotInLockdown},
	{"The device answers each time at once, with what its own clock shows:", false, answersTime},
	{"forgets an entry only when the server has acknowledged it.", false, keepsItsLog},
	{"Neither loss nor return of the link moves a lock.", false, standsStill},
	{"Not since the welcome came: that may have been long on its way, and the device would take late " +
		"commands for timely ones", false, countsFromItsHello},
	{"It does nothing twice.", false, refusesReplays},
	{"it is at least serverTime now.", false, setsItsIdeaOfTime},
	{"With heardAt, its idea is that the server's clock showed heardAt when it sent the answer before;",
		false, setsItBack},
	{"The device sets it aside, then reconnects.", false, setsAside},
	{"They replace those that the device has, once it has stored them: then it heeds what follows", false,
		takesKeys},
	{"only grows: a device refuses keys whose version is not greater than that of those it has", false,
		refusesOldKeys},
	{"takes the server for gone and reconnects.", false, missesPings},
	{"the version of the server's keys that the device has: 1, or that of the last keys", false,
		namesNewKeys},
	{"It makes the next key and stores it beside the present one, for good, before it tells of it.", false,
		offersItsNextKey},
	{"As long as a device has two keys it signs its hello with the next one.", false, triesItsNextKey},
	{"If that is answered with UNKNOWN_DEVICE, it reconnects with the present one;", false, fallsBack},
	{"When the present one is accepted, it offers the next one again.", false, offersAgain},
	{"It is told rotated, closes the link (1000), and begins another with the next key.", false, rotates},
	{"Codes from 4000 to 4499, and all others below: reconnect.", false, reconnects},
	{"How far a command has come.", false, endsCommandsOnce},
	{"Entries are numbered from 1 without gaps: sequence.", false, hasNoFaults},
	{"A device that was told to go away tries again when it is restarted or enrolled anew, and otherwise at " +
		"most once an hour.", false, goesAway},
}

func enrols(r *run) error {
	select {
	case claim := <-r.enrolled:
		r.key = ed25519.PublicKey(claim.PublicKey[:])
		if !claim.Proven() {
			return errors.New("the proof is no signature of publicKey over the transcript")
		}
		for _, text := range []string{claim.Serial, claim.Model, claim.Firmware} {
			if text == "" || len(text) > 100 {
				return errors.New("serial, model or firmware is not of 1 to 100 bytes")
			}
		}
		return nil
	case <-time.After(r.config.Enrol):
		return fmt.Errorf("it has not enrolled within %s", r.config.Enrol)
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}

// closesOn has the device close on a challenge, without a word.
func (r *run) closesOn(alter func(*devicelink.Challenge)) error {
	if err := r.arrive(); err != nil {
		return err
	}
	if err := r.p.challenges(alter); err != nil {
		return err
	}
	return r.p.closes(r.config.Answer)
}

func closesOnAnotherServer(r *run) error {
	return r.closesOn(func(c *devicelink.Challenge) { c.ServerName = "doors.example.org" })
}

func closesOnAnotherVersion(r *run) error {
	return r.closesOn(func(c *devicelink.Challenge) { c.Version = 2 })
}

func says(r *run) error {
	if err := r.attempt(r.key); err != nil {
		return err
	}
	if h := r.p.hello; h.KeysVersion != 1 || len(h.KeyIDs) != 1 || h.KeyIDs[0] != r.keys.Public()[0].ID {
		return fmt.Errorf("it names version %d of the server's keys, %v", h.KeysVersion, h.KeyIDs)
	}
	return nil
}

// closesOnForgedWelcome answers the hello with welcomes that others signed, or that were for others.
// The door would stand unlocked by them.
func closesOnForgedWelcome(r *run) error {
	early := *r.p
	r.p.signer = r.stranger.Newest()
	forge := func(w *devicelink.Welcome) { w.KeyID = r.keys.Public()[0].ID }
	if err := r.p.welcomes(door.ModeUNLOCKED, nil, forge); err != nil {
		return err
	}
	if err := r.p.closes(r.config.Answer); err != nil {
		return fmt.Errorf("forged: %w", err)
	}
	if err := r.attempt(r.key); err != nil {
		return err
	}
	// What was signed for the hello before is worth nothing now.
	late := *r.p
	r.p.challenge, r.p.hello = early.challenge, early.hello
	err := r.p.welcomes(door.ModeUNLOCKED, nil, nil)
	r.p.challenge, r.p.hello = late.challenge, late.hello
	if err != nil {
		return err
	}
	if err := r.p.closes(r.config.Answer); err != nil {
		return fmt.Errorf("of another link: %w", err)
	}
	return nil
}

func drawsNonces(r *run) error {
	before := r.p.hello
	if err := r.attempt(r.key); err != nil {
		return err
	}
	if before != nil && r.p.hello.Nonce == before.Nonce {
		return errors.New("two hellos have the same nonce")
	}
	return nil
}

func tellsOfDoors(r *run) error {
	mark := r.mark()
	if err := r.welcome(nil); err != nil {
		return err
	}
	s, err := r.expect(mark, "report of the lock", func(f devicelink.Frame) bool {
		report, ok := f.(*devicelink.Report)
		return ok && report.Port == r.config.Port && report.LockState != ""
	})
	if err != nil {
		return err
	}
	if s.frame.(*devicelink.Report).LockState != door.LockStateLOCKED { //nolint:forcetypeassert // above
		return errors.New("the lock is not locked at first: a welcome that nobody signed was heeded?")
	}
	return nil
}

func answersPings(r *run) error { return r.p.ping(r.config.Answer) }

func runsCommands(r *run) error {
	mark, c := r.mark(), r.unlock()
	if err := r.p.order(c); err != nil {
		return err
	}
	r.done = append(r.done, c)
	if _, err := r.expect(mark, "ACKNOWLEDGED", resultOf(c, command.StageACKNOWLEDGED)); err != nil {
		return err
	}
	s, err := r.expect(mark, "end of the command", resultOf(c, ending...))
	if err != nil {
		return err
	}
	if got := s.frame.(*devicelink.Result); got.Stage != command.StageCONFIRMED { //nolint:forcetypeassert // resultOf
		return fmt.Errorf("an honest unlock ends %s, %s", got.Stage, got.Reason)
	}
	if _, err := r.expect(mark, "lock.locked", reportOf("lock.locked")); err != nil {
		return err
	}
	return r.never(mark, reportOf("lock.unlocked"))
}

func refusesForged(r *run) error {
	return all(
		func() error {
			c := r.unlock()
			return r.ignores(c, func() error {
				r.stranger.Newest().Order(c, r.device, int64(r.p.number), r.p.ordered+1)
				return r.p.write(c)
			})
		},
		func() error {
			c := r.unlock()
			return r.ignores(c, func() error {
				r.stranger.Newest().Order(c, r.device, int64(r.p.number), r.p.ordered+1)
				c.KeyID = r.keys.Public()[0].ID
				return r.p.write(c)
			})
		},
		func() error {
			return r.refusesSigned(func(c *devicelink.Command) { c.Seconds = 3600 })
		},
		func() error {
			return r.refusesSigned(func(c *devicelink.Command) { c.NotAfter = c.NotAfter.Add(time.Second) })
		},
		func() error {
			return r.refusesSigned(func(c *devicelink.Command) { c.CommandID = typeid.New[typeid.Command]() })
		},
	)
}

func refusesOtherLinks(r *run) error {
	for _, epoch := range []int64{int64(r.p.number) - 1, int64(r.p.number) + 1} {
		c := r.unlock()
		if err := r.ignores(c, func() error {
			r.p.signer.Order(c, r.device, epoch, r.p.ordered+1)
			return r.p.write(c)
		}); err != nil {
			return err
		}
	}
	return nil
}

func refusesOldNumbers(r *run) error {
	for _, number := range []int64{1, r.p.ordered} {
		c := r.unlock()
		if err := r.ignores(c, func() error {
			r.p.signer.Order(c, r.device, int64(r.p.number), number)
			return r.p.write(c)
		}); err != nil {
			return err
		}
	}
	return nil
}

func refusesOtherDevices(r *run) error {
	return r.refuses(func(c *devicelink.Command) { c.DeviceID = typeid.New[typeid.Device]() })
}

func refusesOtherOrganizations(r *run) error {
	return r.refuses(func(c *devicelink.Command) {
		c.OrganizationID = typeid.New[typeid.Organization]()
	})
}

func refusesLongOnes(r *run) error {
	return r.refuses(func(c *devicelink.Command) {
		c.NotAfter = c.IssuedAt.Add(30*time.Second + time.Microsecond)
	})
}

func refusesAgain(r *run) error {
	first := r.done[0]
	return all(
		func() error { // the frame itself
			return r.ignores(first, func() error { return r.p.write(first) })
		},
		func() error { // signed once more
			again := *first
			return r.ignores(&again, func() error { return r.p.order(&again) })
		},
	)
}

// staysQuiet waits for what a lock would do that was unlocked without a word: it locks again.
func staysQuiet(r *run) error {
	mark := r.mark()
	if err := r.wait(2500 * time.Millisecond); err != nil {
		return err
	}
	return r.never(mark, moved)
}

func tellsOfRefusals(r *run) error {
	refused := reportOf("device.order_refused")
	s, err := r.expect(0, "device.order_refused", refused)
	if err != nil {
		return err
	}
	var count struct{ Count int }
	report := s.frame.(*devicelink.Report) //nolint:forcetypeassert // reportOf
	if json.Unmarshal(report.Data, &count) != nil || count.Count < 1 {
		return fmt.Errorf("its data is %s", report.Data)
	}
	heard, _ := r.since(0)
	var last time.Time
	for _, s := range heard {
		if !refused(s.frame) {
			continue
		}
		at := s.frame.(*devicelink.Report).At //nolint:forcetypeassert // reportOf
		if at.Sub(last) < 59*time.Second {
			return fmt.Errorf("two of them within %s", at.Sub(last))
		}
		last = at
	}
	return nil
}

func refusesLate(r *run) error {
	for _, late := range []time.Duration{time.Second, 20 * time.Minute} {
		mark, c := r.mark(), r.unlock()
		c.IssuedAt, c.NotAfter = c.IssuedAt.Add(-late-10*time.Second), c.IssuedAt.Add(-late)
		if err := r.p.order(c); err != nil {
			return err
		}
		s, err := r.expect(mark, "EXPIRED", resultOf(c))
		if err != nil {
			return err
		}
		if got := s.frame.(*devicelink.Result).Stage; got != command.StageEXPIRED { //nolint:forcetypeassert // resultOf
			return fmt.Errorf("%s after its deadline: %s", late, got)
		}
	}
	return nil
}

// ignoresUnknown sends a frame of a type that is not there yet, and doors with more to them. Those are
// signed as they are sent.
func ignoresUnknown(r *run) error {
	if err := r.p.writeText([]byte(`{"type":"weather","sky":"clear"}`)); err != nil {
		return err
	}
	mark := r.mark()
	text, err := r.grown(door.ModeUNLOCKED)
	if err != nil {
		return err
	}
	if err := r.p.writeText(text); err != nil {
		return err
	}
	if _, err := r.expect(mark, "lock.unlocked", reportOf("lock.unlocked")); err != nil {
		return err
	}
	return r.turns(door.ModeCONTROLLED, "lock.locked")
}

// grown is a signed config as a later version might send it.
func (r *run) grown(mode door.Mode) ([]byte, error) {
	doors, err := json.Marshal(r.standing(mode))
	if err != nil {
		return nil, err
	}
	doors = bytes.Replace(doors, []byte(`{`), []byte(`{ "colour":"blue", `), 1)
	var none devicelink.Signature
	blank, _ := none.MarshalText() // never fails
	plain := func(signature string, sequence int64) []byte {
		return []byte(`{"since":"2027","type":"config","doors":` + string(doors) + `,"epoch":` +
			strconv.Itoa(r.p.number) + `,"sequence":` + strconv.FormatInt(sequence, 10) +
			`,"keyId":"` + r.keys.Public()[0].ID + `","signature":"` + signature + `"}`)
	}
	r.p.ordered++
	frame, err := devicelink.DecodeAsDevice(plain(string(blank), r.p.ordered))
	if err != nil {
		return nil, err
	}
	config := frame.(*devicelink.Config) //nolint:forcetypeassert // its type says so
	r.p.signer.Order(config, r.device, int64(r.p.number), r.p.ordered)
	signature, _ := config.Signature.MarshalText() // never fails
	return plain(string(signature), r.p.ordered), nil
}

func heedsConfig(r *run) error {
	return all(
		func() error { return r.turns(door.ModeUNLOCKED, "lock.unlocked") },
		func() error { return r.turns(door.ModeCONTROLLED, "lock.locked") },
	)
}

func refusesForgedConfig(r *run) error {
	return r.ignores(nil, func() error {
		c := &devicelink.Config{Doors: r.standing(door.ModeUNLOCKED)}
		r.stranger.Newest().Order(c, r.device, int64(r.p.number), r.p.ordered+1)
		c.KeyID = r.keys.Public()[0].ID
		if err := r.p.write(c); err != nil {
			return err
		}
		// Signed for a door that stays as it is.
		c = &devicelink.Config{Doors: r.standing(door.ModeCONTROLLED)}
		r.p.signer.Order(c, r.device, int64(r.p.number), r.p.ordered+1)
		c.Doors[0].Mode = door.ModeUNLOCKED
		return r.p.write(c)
	})
}

func locksAtOnce(r *run) error {
	mark, c := r.mark(), r.unlock()
	c.Seconds = 60
	if err := r.p.order(c); err != nil {
		return err
	}
	if _, err := r.expect(mark, "CONFIRMED", resultOf(c, command.StageCONFIRMED)); err != nil {
		return err
	}
	if err := r.turns(door.ModeLOCKDOWN, "lock.locked"); err != nil {
		return err
	}
	return r.configures(door.ModeCONTROLLED)
}

// unlocksNotInLockdown sends a lockdown right behind an unlock. The unlock may have been carried out by
// then; if not, it is not. Either way the door is locked in the end.
func unlocksNotInLockdown(r *run) error {
	mark, c := r.mark(), r.unlock()
	c.Seconds = 60
	if err := r.p.order(c); err != nil {
		return err
	}
	if err := r.configures(door.ModeLOCKDOWN); err != nil {
		return err
	}
	s, err := r.expect(mark, "end of the command", resultOf(c, ending...))
	if err != nil {
		return err
	}
	got := s.frame.(*devicelink.Result) //nolint:forcetypeassert // resultOf
	if got.Stage == command.StageCONFIRMED {
		if _, err := r.expect(mark, "lock.locked", reportOf("lock.locked")); err != nil {
			return err
		}
	} else if got.Stage != command.StageFAILED || got.Reason != "LOCKDOWN" {
		return fmt.Errorf("it ends %s, %s", got.Stage, got.Reason)
	}
	return r.configures(door.ModeCONTROLLED)
}

// asked sends the time, and waits for the answer to it.
func (r *run) asked(told *devicelink.Time) error {
	mark := r.mark()
	if err := r.p.order(told); err != nil {
		return err
	}
	s, err := r.expect(mark, "clock", func(f devicelink.Frame) bool {
		answer, ok := f.(*devicelink.Clock)
		return ok && answer.Answers == told.Sequence
	})
	r.answered = s.at.Add(ahead).UTC().Truncate(time.Microsecond)
	return err
}

func answersTime(r *run) error {
	if err := r.asked(&devicelink.Time{ServerTime: now()}); err != nil {
		return err
	}
	mark := r.mark()
	forged := &devicelink.Time{ServerTime: now().Add(-time.Hour)}
	r.stranger.Newest().Order(forged, r.device, int64(r.p.number), r.p.ordered+1)
	if err := all(func() error { return r.p.write(forged) }, r.probe); err != nil {
		return err
	}
	return r.never(mark, func(f devicelink.Frame) bool { _, ok := f.(*devicelink.Clock); return ok })
}

// setsItsIdeaOfTime tells the device that the server's clock is a minute further than it must think.
func setsItsIdeaOfTime(r *run) error {
	later := now().Add(time.Minute)
	if err := r.asked(&devicelink.Time{ServerTime: later}); err != nil {
		return err
	}
	mark, c := r.mark(), r.unlock()
	c.IssuedAt, c.NotAfter = later.Add(-20*time.Second), later.Add(-10*time.Second)
	if err := r.p.order(c); err != nil {
		return err
	}
	s, err := r.expect(mark, "EXPIRED", resultOf(c))
	if err != nil {
		return err
	}
	if got := s.frame.(*devicelink.Result).Stage; got != command.StageEXPIRED { //nolint:forcetypeassert // resultOf
		return fmt.Errorf("a command that is 10 seconds late by serverTime: %s", got)
	}
	return nil
}

// setsItBack tells the device when its last answer came, which was not a minute ahead.
func setsItBack(r *run) error {
	err := r.asked(&devicelink.Time{ServerTime: now(), HeardAt: r.answered})
	if err != nil {
		return err
	}
	return r.opens()
}
