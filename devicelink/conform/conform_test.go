package conform_test

import (
	"bytes"
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea/cardea/devicelink/client"
	"github.com/cardea/cardea/devicelink/conform"
	"github.com/cardea/cardea/devicelink/sim"
)

// TestChecksAreSentencesOfTheDocument, word by word.
func TestChecksAreSentencesOfTheDocument(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/protocol.md")
	must(t, err)
	document := regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`).ReplaceAllString(string(text), "$1")
	document = strings.NewReplacer("`", "", "**", "").Replace(document)
	document = strings.Join(strings.Fields(document), " ")
	seen := map[string]bool{}
	for _, sentence := range conform.Sentences() {
		if !strings.Contains(document, sentence) {
			t.Errorf("the document does not say: %s", sentence)
		}
		if seen[sentence] {
			t.Errorf("twice: %s", sentence)
		}
		seen[sentence] = true
	}
}

// bench is a kit with its address.
func bench(tb testing.TB, cfg conform.Config) (*conform.Kit, string) {
	tb.Helper()
	kit, err := conform.New(cfg)
	must(tb, err)
	server := httptest.NewServer(kit)
	tb.Cleanup(server.Close)
	return kit, server.URL
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// conforms runs a kit to its end, and fails unless the device passes every check.
func conforms(t *testing.T, kit *conform.Kit) {
	t.Helper()
	var lines bytes.Buffer
	report := kit.Run(t.Context(), func(r conform.Result) { conform.Report{r}.WriteLines(&lines) })
	if !report.Conforms() {
		t.Errorf("%s\n%s", lines.String(), report.Summary())
	}
}

// TestSimulatorConforms: what `cardea sim` and the agent link with does what the document says.
func TestSimulatorConforms(t *testing.T) {
	t.Parallel()
	kit, url := bench(t, conform.Config{Silence: 2 * time.Second})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	running.Go(func() {
		identity, err := client.Enrol(ctx, url, kit.ClaimCode,
			client.Hardware{Serial: "T-1", Model: "sim", Firmware: sim.Firmware})
		if err != nil {
			t.Error(err)
			return
		}
		_ = sim.NewDevice(sim.DeviceConfig{ // it is told to go away in the end
			BaseURL: url, Identity: identity, Longest: 50 * time.Millisecond,
			Keep: func(client.Identity) error { return nil },
		}).Run(ctx)
	})
	conforms(t, kit)
}

// TestAnotherDeviceConforms: one that somebody wrote in another language, from the document alone.
func TestAnotherDeviceConforms(t *testing.T) {
	t.Parallel()
	example, err := filepath.Abs("../../examples/device")
	must(t, err)
	install := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund")
	install.Dir = example
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	kit, url := bench(t, conform.Config{Silence: 2 * time.Second})
	ctx, stop := context.WithCancel(context.Background())
	device := exec.CommandContext(ctx, "node", "device.js",
		url, filepath.Join(t.TempDir(), "state.json"), kit.ClaimCode, "0.1")
	device.Dir = example
	var out bytes.Buffer
	device.Stdout, device.Stderr = &out, &out
	must(t, device.Start())
	t.Cleanup(func() {
		stop()
		_ = device.Wait()
		if t.Failed() {
			t.Logf("the device said\n%s", out.String())
		}
	})
	conforms(t, kit)
}
