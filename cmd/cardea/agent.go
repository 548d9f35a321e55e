package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cardea/cardea/devicelink/client"
	"github.com/cardea/cardea/devicelink/uhppote"
)

// place is a controller that has its place in Cardea, as it is kept in a file.
type place struct {
	Serial   uint32          `json:"serial"`
	Address  netip.AddrPort  `json:"address"`
	Identity client.Identity `json:"identity"`
}

func (at place) write(dir string) error {
	return writeJSON(filepath.Join(dir, fmt.Sprintf("%d.json", at.Serial)), at)
}

// agent runs an agent on site, which links controllers that know nothing of Cardea.
func (p program) agent(ctx context.Context, args []string) error {
	if len(args) == 0 || args[0] != "uhppote" {
		return errors.New("which agent? there is: cardea agent uhppote")
	}
	flags := p.flags("agent uhppote")
	url := flags.String("url", "http://localhost:8080", "the server")
	dir := flags.String("state", "uhppote", "directory that keeps identities and what is not acknowledged")
	listen := flags.String("listen", ":60001", "UDP address at which controllers tell what happens")
	broadcast := flags.String("broadcast", "255.255.255.255:60000", "where to search for controllers")
	claim := flags.String("claim", "", "claim code to enrol a controller with")
	which := flags.String("controller", "", "the controller to enrol, as SERIAL or SERIAL@ADDRESS:PORT")
	poll := flags.Duration("poll", 5*time.Second, "how often a controller is asked how it is")
	discover := flags.Bool("discover", false, "list the controllers of the network and end")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	search, err := netip.ParseAddrPort(*broadcast)
	if err != nil {
		return fmt.Errorf("-broadcast: %w", err)
	}
	if *discover {
		return p.discover(ctx, search)
	}
	c, err := readLog(p.env)
	if err != nil {
		return err
	}
	if *claim != "" {
		if err := enrolController(ctx, *url, *dir, *claim, *which, search); err != nil {
			return err
		}
	}
	places, err := readPlaces(*dir)
	if err != nil {
		return err
	}
	listener, err := uhppote.Listen(ctx, *listen)
	if err != nil {
		return err
	}
	parts := []part{{"listener", listener.Run}}
	for _, at := range places {
		a, err := uhppote.New(uhppote.Config{
			BaseURL: *url, Identity: at.Identity, Serial: at.Serial, Address: at.Address,
			LogPath: filepath.Join(*dir, fmt.Sprintf("%d.log", at.Serial)), Listener: listener,
			Poll: *poll, Logger: p.logger(c), Keep: func(now client.Identity) error {
				at.Identity = now
				return at.write(*dir)
			},
		})
		if err != nil {
			return err
		}
		parts = append(parts, part{fmt.Sprintf("controller %d", at.Serial), a.Run})
	}
	_, _ = fmt.Fprintf(p.stdout, "linking %d controllers\n", len(places))
	return runStages(ctx, parts)
}

// discoverTime is how long a search for controllers takes.
const discoverTime = 2 * time.Second

func (p program) discover(ctx context.Context, broadcast netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(ctx, discoverTime)
	defer cancel()
	all, err := uhppote.Discover(ctx, broadcast)
	for _, f := range all {
		_, _ = fmt.Fprintf(p.stdout, "%d@%s  %d doors, firmware %s\n", f.Serial, f.Address, f.Doors(),
			f.Version)
	}
	return err
}

// enrolController claims a place for a controller, which it finds in the network if it is not said
// where it is.
func enrolController(
	ctx context.Context, url, dir, claim, which string, broadcast netip.AddrPort,
) error {
	at, err := findController(ctx, which, broadcast)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	at.Identity, err = client.Enrol(ctx, url, claim, client.Hardware{
		Serial: fmt.Sprintf("UHPPOTE %d", at.Serial), Model: "UT0311-L0x", Firmware: uhppote.Firmware,
	})
	if err != nil {
		return fmt.Errorf("enrol controller %d: %w", at.Serial, err)
	}
	return at.write(dir)
}

func findController(
	ctx context.Context, which string, broadcast netip.AddrPort,
) (at place, err error) {
	serial, address, located := strings.Cut(which, "@")
	number, err := strconv.ParseUint(serial, 10, 32)
	if err != nil || number == 0 {
		return at, errors.New("-controller: give the serial number, as it is printed on the controller")
	}
	at.Serial = uint32(number)
	if located {
		if at.Address, err = netip.ParseAddrPort(address); err != nil {
			return at, fmt.Errorf("-controller: %w", err)
		}
		return at, nil
	}
	ctx, cancel := context.WithTimeout(ctx, discoverTime)
	defer cancel()
	all, err := uhppote.Discover(ctx, broadcast)
	for _, f := range all {
		if f.Serial == at.Serial {
			at.Address = f.Address
			return at, nil
		}
	}
	return at, errors.Join(fmt.Errorf("controller %d does not answer: is it in this network?", number), err)
}

func readPlaces(dir string) (all []place, err error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		var at place
		if err := readJSON(path, &at); err != nil {
			return nil, err
		}
		all = append(all, at)
	}
	if len(all) == 0 {
		return nil, errors.New("no controllers: enrol one with -claim and -controller")
	}
	return all, nil
}
