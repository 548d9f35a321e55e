package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cardea/cardea/devicelink/client"
	"github.com/cardea/cardea/devicelink/sim"
	"github.com/cardea/cardea/typeid"
)

// sim runs simulated devices against a server.
func (p program) sim(ctx context.Context, args []string) error {
	flags := p.flags("sim")
	url := flags.String("url", "http://localhost:8080", "the server")
	path := flags.String("devices", "devices.json", "file that keeps the devices and their keys")
	claims := flags.String("claim", "", "claim codes to enrol new devices with, separated by commas")
	people := flags.String("people", "", "identifiers of users who come and go, separated by commas")
	pace := flags.Duration("pace", time.Minute, "mean time between two visits at a door")
	seed := flags.Uint64("seed", 1, "decides who comes when")
	if err := flags.Parse(args); err != nil {
		return err
	}
	c, err := readLog(p.env)
	if err != nil {
		return err
	}
	fleet := sim.Fleet{BaseURL: *url, Pace: *pace, Seed: *seed, Log: p.logger(c)}
	if err := readJSON(*path, &fleet.Devices); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for id := range strings.FieldsFuncSeq(*people, isComma) {
		person, err := typeid.Parse[typeid.User](id)
		if err != nil {
			return fmt.Errorf("-people: %w", err)
		}
		fleet.People = append(fleet.People, person)
	}
	for code := range strings.FieldsFuncSeq(*claims, isComma) {
		serial := fmt.Sprintf("SIM-%03d", len(fleet.Devices)+1)
		if err := enrol(ctx, &fleet, claim{code, serial}); err != nil {
			return err
		}
		if err := writeJSON(*path, fleet.Devices); err != nil {
			return err
		}
	}
	if len(fleet.Devices) == 0 {
		return errors.New("no devices: give claim codes with -claim")
	}
	fleet.Keep = keepIdentities(fleet.Devices, func(now []client.Identity) error {
		return writeJSON(*path, now)
	})
	return fleet.Run(ctx)
}

// keepIdentities writes all identities again when one of them has changed.
func keepIdentities(
	all []client.Identity, write func([]client.Identity) error,
) func(int, client.Identity) error {
	var mu sync.Mutex
	all = slices.Clone(all)
	return func(place int, now client.Identity) error {
		mu.Lock()
		defer mu.Unlock()
		all[place] = now
		return write(all)
	}
}

func isComma(r rune) bool { return r == ',' }

// readLog reads the configuration of a command that needs no services.
func readLog(env func(string) string) (config, error) {
	return readConfig(env, map[string]string{
		"CARDEA_DATABASE_URL": "postgres://unused?sslmode=disable", "CARDEA_REDIS_URL": "unix:///unused",
		"CARDEA_SECRETS": newSecret(),
	})
}

// enrol claims a device's place and adds it to the fleet.
func enrol(ctx context.Context, fleet *sim.Fleet, place claim) error {
	identity, err := client.Enrol(ctx, fleet.BaseURL, place.Code, client.Hardware{
		Serial: place.Serial, Model: "Simulated two-door panel", Firmware: sim.Firmware,
	})
	if err != nil {
		return fmt.Errorf("enrol %s: %w", place.Serial, err)
	}
	fleet.Devices = append(fleet.Devices, identity)
	return nil
}

func readJSON(path string, to any) error {
	text, err := os.ReadFile(path) //nolint:gosec // the operator names it
	if err != nil {
		return err
	}
	return json.Unmarshal(text, to)
}

func writeJSON(path string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return writePrivate(path, text)
}
