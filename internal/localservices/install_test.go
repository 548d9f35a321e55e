package localservices_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/cardea/cardea/internal/localservices"
)

func TestInstallHasNothingToDo(t *testing.T) {
	var out bytes.Buffer
	cfg := localservices.Config{}
	if err := localservices.Install(t.Context(), &out, cfg.Needs()...); err != nil {
		t.Fatal(err)
	}
	if out.Len() > 0 {
		t.Errorf("printed %q", out.String())
	}
}

func TestInstallSaysWhatIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // neither a compiler nor a package manager
	err := localservices.Install(t.Context(), t.Output(), localservices.Compiler)
	for _, want := range []string{"PostgreSQL 15", "Redis 7", "gcc", "npm", "CARDEA_DATABASE_URL"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Install = %v; want %q in it", err, want)
		}
	}
}
