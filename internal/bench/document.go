package main

import (
	"fmt"
	"os"
	"strings"
)

// The lines of a document between which the figures stand.
const (
	begin = "<!-- figures: written by the bench -->\n"
	end   = "<!-- end of figures -->"
)

// publish replaces the figures of a document.
func publish(path, figures string) error {
	text, err := os.ReadFile(path) //nolint:gosec // whoever runs us names it
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return fmt.Errorf("%s has no place for figures: the lines %q and %q", path, begin, end)
	}
	fresh := before + begin + "\n" + figures + "\n" + end + after
	return os.WriteFile(path, []byte(fresh), 0o644) //nolint:gosec // a document
}
