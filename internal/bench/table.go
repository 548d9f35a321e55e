package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/cardea/cardea/internal/bench/tally"
)

// figure is one number that a block gives.
type figure struct {
	name string
	unit string
	of   func(tally.Block) float64
}

var (
	workFigures = []figure{
		{"server CPU each", "µs", func(b tally.Block) float64 { return b.Each(micros(b.CPU)) }},
		{"Postgres CPU each", "µs", func(b tally.Block) float64 { return b.Each(micros(b.Database)) }},
		{"p50", "ms", func(b tally.Block) float64 { return micros(b.P50) / 1000 }},
		{"p99", "ms", func(b tally.Block) float64 { return micros(b.P99) / 1000 }},
		{"per second", "", func(b tally.Block) float64 { return float64(b.Done) / b.Elapsed.Seconds() }},
	}
	memoryFigures = []figure{
		{"resident memory each", "KiB", func(b tally.Block) float64 {
			return b.Each(float64(b.Memory)) / 1024
		}},
	}
	allFigures = slices.Concat(workFigures, memoryFigures)
)

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// table shows measures as Markdown.
func table(all []measured, figures []figure) string {
	if len(all) == 0 {
		return ""
	}
	var text strings.Builder
	text.WriteString("\n| measure |")
	for _, f := range figures {
		fmt.Fprintf(&text, " %s |", f.name)
	}
	text.WriteString("\n|---|" + strings.Repeat("---|", len(figures)) + "\n")
	for _, m := range all {
		fmt.Fprintf(&text, "| %s | %s |\n", m.name, strings.Join(m.cells(figures), " | "))
	}
	return text.String()
}

// cells has for each figure the median ratio of the pairs, in brackets the least and the greatest,
// and the medians of both sides.
func (m measured) cells(figures []figure) []string {
	cells := make([]string, len(figures))
	for i, f := range figures {
		var ours, theirs, ratios []float64
		for pair := range m.cardea {
			a, b := f.of(m.cardea[pair]), f.of(m.floor[pair])
			ours, theirs = append(ours, a), append(theirs, b)
			if a > 0 && b > 0 {
				ratios = append(ratios, a/b)
			}
		}
		cells[i] = "–"
		if a, b := tally.Median(ours), tally.Median(theirs); len(ratios) > 0 && !math.IsInf(a+b, 0) {
			cells[i] = strings.TrimSpace(fmt.Sprintf("**%s×** (%s–%s) %s : %s %s",
				short(tally.Median(ratios)), short(slices.Min(ratios)), short(slices.Max(ratios)),
				short(a), short(b), f.unit))
		}
	}
	return cells
}

// short writes three digits that count.
func short(v float64) string {
	switch {
	case v >= 99.95:
		return fmt.Sprintf("%.0f", v)
	case v >= 9.995:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
