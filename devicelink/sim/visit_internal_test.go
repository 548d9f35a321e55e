package sim

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/devicelink/client"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

// powered is a device without a link, whose door relocks after 5 seconds and is held open after 30.
func powered(mode door.Mode) (*Device, devicelink.Door) {
	d := NewDevice(DeviceConfig{})
	gate := devicelink.Door{
		Port: 1, DoorID: typeid.New[typeid.Door](), Mode: mode, RelockSeconds: 5, HeldOpenSeconds: 30,
	}
	d.with(func() { d.adopt([]devicelink.Door{gate}) })
	return d, gate
}

// logged lists what the log tells, in order: event types, and stages of results.
func logged(d *Device) (told []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, entry := range d.log.Entries() {
		if client.Sequence(entry) != int64(i+1) {
			told = append(told, "hole")
		}
		switch entry := entry.(type) {
		case *devicelink.Report:
			told = append(told, entry.Event)
		case *devicelink.Result:
			told = append(told, string(entry.Stage))
		}
	}
	return told
}

func TestVisits(t *testing.T) {
	t.Parallel()
	someone := typeid.New[typeid.User]()
	for name, test := range map[string]struct {
		mode  door.Mode
		visit Visit
		want  []string
	}{
		"granted": {door.ModeCONTROLLED, Visit{User: someone}, []string{
			"lock.locked", "access.granted", "lock.unlocked", "door.opened", "door.closed", "lock.locked",
		}},
		"refused": {door.ModeCONTROLLED, Visit{User: someone, Refused: true},
			[]string{"lock.locked", "access.denied"}},
		"unknown": {door.ModeCONTROLLED, Visit{}, []string{"lock.locked", "access.denied"}},
		"leaving": {door.ModeLOCKDOWN, Visit{Leaving: true}, []string{
			"lock.locked", "door.rex_activated", "lock.unlocked", "door.opened", "door.closed",
			"lock.locked",
		}},
		"lockdown": {door.ModeLOCKDOWN, Visit{User: someone}, []string{"lock.locked", "access.denied"}},
		"unlocked": {door.ModeUNLOCKED, Visit{User: someone}, []string{
			"lock.locked", "lock.unlocked", "access.granted", "door.opened", "door.closed",
		}},
		"held open": {door.ModeCONTROLLED, Visit{User: someone, Stay: time.Minute}, []string{
			"lock.locked", "access.granted", "lock.unlocked", "door.opened", "door.held_open",
			"door.held_open_cleared", "door.closed", "lock.locked",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d, _ := powered(test.mode)
				test.visit.Reach = time.Second
				if test.visit.Stay == 0 {
					test.visit.Stay = 10 * time.Second // longer than the lock stays unlocked
				}
				if !d.Visit(t.Context(), 1, test.visit) || d.Visit(t.Context(), 2, test.visit) {
					t.Error("a visit at a door that is not there, or none at the one that is")
				}
				if got := logged(d); !slices.Equal(got, test.want) {
					t.Errorf("logged %v\nwant %v", got, test.want)
				}
				d.halt()
			})
		})
	}
}

func TestCommandMovesTheBolt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, gate := powered(door.ModeCONTROLLED)
		order := func(verb command.Verb) {
			order(d, gate, verb)
			time.Sleep(80 * time.Millisecond) //nolint:forbidigo // bubble
			synctest.Wait()
		}
		lock := func() door.LockState { return d.State().Doors[1].Lock }
		order(command.VerbUNLOCK)
		if lock() != door.LockStateUNLOCKED {
			t.Error("not unlocked after the bolt has moved")
		}
		time.Sleep(4 * time.Second) //nolint:forbidigo // bubble
		order(command.VerbUNLOCK)   // the 5 seconds begin anew
		time.Sleep(4 * time.Second) //nolint:forbidigo // bubble
		if synctest.Wait(); lock() != door.LockStateUNLOCKED {
			t.Error("locked too soon")
		}
		time.Sleep(time.Second) //nolint:forbidigo // bubble
		if synctest.Wait(); lock() != door.LockStateLOCKED {
			t.Error("not locked again")
		}
		order(command.VerbUNLOCK)
		order(command.VerbLOCK)
		if lock() != door.LockStateLOCKED {
			t.Error("not locked when told to")
		}
		want := []string{
			"lock.locked", "ACKNOWLEDGED", "CONFIRMED", "ACKNOWLEDGED", "CONFIRMED", "lock.locked",
			"ACKNOWLEDGED", "CONFIRMED", "ACKNOWLEDGED", "CONFIRMED",
		}
		if got := logged(d); !slices.Equal(got, want) {
			t.Errorf("logged %v\nwant %v", got, want)
		}
		d.halt()
	})
}

// TestSentAgainIsLate: what waits in the log when a link opens did not happen just now.
// TestClosedDoorLocksAtOnce turns the mode of a door that somebody has just unlocked.
func TestClosedDoorLocksAtOnce(t *testing.T) {
	t.Parallel()
	person := typeid.New[typeid.User]()
	for name, test := range map[string]struct {
		mode door.Mode
		do   func(ctx context.Context, d *Device, gate devicelink.Door)
		want []string
	}{
		"unlocked from afar": {door.ModeLOCKED, unlock, []string{
			"lock.locked", "ACKNOWLEDGED", "CONFIRMED", "lock.locked",
		}},
		"unlocked, and no other mode": {door.ModeCONTROLLED, unlock, []string{
			"lock.locked", "ACKNOWLEDGED", "CONFIRMED",
		}},
		"about to unlock": {door.ModeLOCKDOWN, func(_ context.Context, d *Device, gate devicelink.Door) {
			order(d, gate, command.VerbUNLOCK)
		}, []string{"lock.locked", "ACKNOWLEDGED", "FAILED"}},
		"about to pull it open": {door.ModeLOCKDOWN, func(ctx context.Context, d *Device, _ devicelink.Door) {
			go d.Visit(ctx, 1, Visit{User: person, Reach: time.Second, Stay: time.Minute})
		}, []string{"lock.locked", "access.granted", "lock.unlocked", "lock.locked", "access.denied"}},
		"on the way out": {door.ModeLOCKDOWN, func(ctx context.Context, d *Device, _ devicelink.Door) {
			go d.Visit(ctx, 1, Visit{Leaving: true, Reach: time.Second, Stay: time.Second})
		}, []string{
			"lock.locked", "door.rex_activated", "lock.unlocked", "lock.locked",
			"door.rex_activated", "lock.unlocked", "door.opened", "door.closed", "lock.locked",
		}},
		"with the leaf open": {door.ModeDISABLED, func(ctx context.Context, d *Device, _ devicelink.Door) {
			go d.Visit(ctx, 1, Visit{User: person, Stay: 2 * time.Second})
		}, []string{
			"lock.locked", "access.granted", "lock.unlocked", "door.opened", "door.closed", "lock.locked",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d, gate := powered(door.ModeCONTROLLED)
				test.do(t.Context(), d, gate)
				synctest.Wait()
				gate.Mode = test.mode
				d.with(func() { d.adopt([]devicelink.Door{gate}) })
				time.Sleep(3 * time.Second) //nolint:forbidigo // bubble
				synctest.Wait()
				if got := logged(d); !slices.Equal(got, test.want) {
					t.Errorf("logged %v\nwant %v", got, test.want)
				}
				d.halt()
			})
		})
	}
}

// order has the device take a command.
func order(d *Device, gate devicelink.Door, verb command.Verb) {
	d.Obey(&devicelink.Command{
		CommandID: typeid.New[typeid.Command](), Verb: verb, DoorID: gate.DoorID, Port: 1,
		Seconds: 5, NotAfter: time.Now().Add(10 * time.Second),
	})
}

// unlock has the device unlock, and waits until it has.
func unlock(_ context.Context, d *Device, gate devicelink.Door) {
	order(d, gate, command.VerbUNLOCK)
	time.Sleep(80 * time.Millisecond) //nolint:forbidigo // bubble
}

func TestSameSeedSamePeople(t *testing.T) {
	t.Parallel()
	f := Fleet{People: []typeid.User{typeid.New[typeid.User](), typeid.New[typeid.User]()}}
	choices := func(seed uint64) (visits []Visit) {
		r := rand.New(rand.NewPCG(seed, 1))
		for range 200 {
			visits = append(visits, f.someone(r))
		}
		return visits
	}
	if !slices.Equal(choices(7), choices(7)) || slices.Equal(choices(7), choices(8)) {
		t.Error("the seed does not decide")
	}
	refused := slices.IndexFunc(choices(7), func(v Visit) bool {
		return refusal(door.ModeCONTROLLED, v) == schema.ReasonNoGrant
	})
	if refused < 0 {
		t.Error("nobody of 200 is refused")
	}
}

// TestSheetDecides: about people whom the device knows, at the door that the sheet is of.
func TestSheetDecides(t *testing.T) {
	t.Parallel()
	listed, other := typeid.New[typeid.User](), typeid.New[typeid.User]()
	d, gate := powered(door.ModeCONTROLLED)
	now := time.Now()
	sheet := verdict.Sheet{
		Door: gate.DoorID, From: now.Add(-time.Hour), Until: now.Add(time.Hour),
		Modes:  []verdict.Turn{{At: now.Add(-time.Hour), Mode: door.ModeCONTROLLED}},
		People: map[typeid.User][]verdict.Span{listed: {{From: now.Add(-time.Hour), Until: now.Add(time.Hour)}}},
	}
	old, elsewhere := sheet, sheet
	old.Until = now
	elsewhere.Door = typeid.New[typeid.Door]()
	for name, c := range map[string]struct {
		sheet   verdict.Sheet
		who     typeid.User
		granted bool
		reason  schema.Reason
	}{
		"listed":        {sheet, listed, true, schema.ReasonGranted},
		"not listed":    {sheet, other, false, schema.ReasonNoGrant},
		"out of date":   {old, listed, false, schema.ReasonDeviceOffline},
		"of elsewhere":  {elsewhere, other, true, schema.ReasonGranted},
		"nobody's card": {sheet, typeid.User{}, false, schema.ReasonUnknownCredential},
	} {
		d.Heed(map[int]verdict.Sheet{1: c.sheet})
		granted, why := d.decide(d.doors[1], Visit{User: c.who})
		if granted != c.granted || why != c.reason {
			t.Errorf("%s: got %v %s", name, granted, why)
		}
	}
}
