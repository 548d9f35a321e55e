package typeid_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cardea/cardea/typeid"
)

func TestTypeIDSpecExample(t *testing.T) {
	t.Parallel()
	var d typeid.User
	if err := d.Scan("01890a5d-ac96-774b-bcce-b302099a8057"); err != nil {
		t.Fatal(err)
	}
	if got, want := d.String(), "user_01h455vb4pex5vsknk084sn02q"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		bytes := rapid.SliceOfN(rapid.Byte(), 16, 16).
			Filter(func(b []byte) bool { return string(b) != string(make([]byte, 16)) }).Draw(t, "raw")
		var d typeid.Door
		if err := d.Scan(bytes); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		var back typeid.Door
		if err := json.Unmarshal(text, &back); err != nil || back != d {
			t.Fatalf("%s came back as %v, %v", text, back, err)
		}
	})
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	good := typeid.New[typeid.Door]().String()
	for name, text := range map[string]string{
		"empty":        "",
		"no prefix":    good[5:],
		"other noun":   typeid.New[typeid.Site]().String(),
		"short":        good[:len(good)-1],
		"long":         good + "0",
		"upper case":   "door_01H455VB4PEX5VSKNK084SN02Q",
		"letter u":     good[:len(good)-1] + "u",
		"over 128 bit": "door_8zzzzzzzzzzzzzzzzzzzzzzzzz",
		"zero":         "door_00000000000000000000000000",
		"plain uuid":   "01890a5d-ac96-774b-bcce-b302099a8057",
	} {
		if _, err := typeid.Parse[typeid.Door](text); !errors.Is(err, typeid.ErrMalformed) {
			t.Errorf("%s: %q parsed, err %v", name, text, err)
		}
	}
}

func TestSortsByTime(t *testing.T) {
	t.Parallel()
	old := typeid.At[typeid.Event](time.Now().Add(-time.Hour))
	if fresh := typeid.New[typeid.Event](); old.String() >= fresh.String() {
		t.Fatalf("%s is not before %s", old, fresh)
	}
}

func TestZeroIsNull(t *testing.T) {
	t.Parallel()
	var d typeid.Door
	if v, err := d.Value(); v != nil || err != nil || d.String() != "" || !d.IsZero() {
		t.Fatalf("zero id: value %v, err %v, text %q", v, err, d)
	}
}

func TestAnyKeepsNoun(t *testing.T) {
	t.Parallel()
	door := typeid.New[typeid.Door]()
	a, err := typeid.ParseAny(door.String())
	if err != nil {
		t.Fatal(err)
	}
	if back, err := typeid.As[typeid.Door](a); err != nil || back != door {
		t.Fatalf("got %v, %v", back, err)
	}
	if _, err := typeid.As[typeid.Site](a); !errors.Is(err, typeid.ErrMalformed) {
		t.Fatalf("a door passed as a site: %v", err)
	}
}

func FuzzParseAny(f *testing.F) {
	f.Add("door_01h455vb4pex5vsknk084sn02q")
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := typeid.ParseAny(s); err == nil && a.String() != s {
			t.Fatalf("%q came back as %q", s, a)
		}
	})
}
