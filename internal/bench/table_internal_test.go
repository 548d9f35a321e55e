package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/internal/bench/tally"
)

// Each block is compared with the one beside it: a machine that slows down slows down both.
func TestCellsCompareInPairs(t *testing.T) {
	t.Parallel()
	spent := func(ms ...int) (blocks []tally.Block) {
		for _, n := range ms {
			blocks = append(blocks, tally.Block{Done: 10, CPU: time.Duration(n) * time.Millisecond})
		}
		return blocks
	}
	m := measured{name: "Q", cardea: spent(2, 20, 6), floor: spent(1, 10, 2)}
	got := table([]measured{m}, workFigures[:2])
	want := "\n| measure | server CPU each | Postgres CPU each |\n|---|---|---|\n" +
		"| Q | **2.00×** (2.00–3.00) 600 : 200 µs | – |\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestPublishReplacesOnlyTheFigures(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "page.md")
	page := "before\n" + begin + "old\n" + end + "\nafter\n"
	if err := os.WriteFile(path, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, figures := range []string{"new", "newer"} {
		if err := publish(path, figures); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if want := "before\n" + begin + "\nnewer\n" + end + "\nafter\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v", got, err)
	}
	if err := os.WriteFile(path, []byte("no place"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := publish(path, "new"); err == nil || !strings.Contains(err.Error(), "no place for figures") {
		t.Errorf("without a place: %v", err)
	}
}
