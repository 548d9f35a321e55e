package access

import (
	"fmt"
	"testing"
)

// The vector of 26 bits with facility code 118 is from the documentation of a well-known reader tool;
// the others follow from the formats' descriptions.
func TestWiegand(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		bits int
		hex  string
		want card
		ok   bool
	}{
		{26, "2ec0c86", card{CardWiegand26, 118, 1603}, true},
		{26, "2EC0C86", card{CardWiegand26, 118, 1603}, true},
		{26, "2020002", card{CardWiegand26, 1, 1}, true},
		{26, "0000001", card{CardWiegand26, 0, 0}, true},
		{26, "1ffffff", card{CardWiegand26, 255, 65535}, true},
		{37, "0000000001", card{CardWiegand37, 0, 0}, true},
		{37, "1000100002", card{CardWiegand37, 1, 1}, true},
		{32, "9A01c4F7", card{CardCSN32, 0, 0x9a01c4f7}, true},
		{56, "04a1b2c3d4e5f6", card{CardCSN56, 0, 0x04a1b2c3d4e5f6}, true},
		{26, "0ec0c86", card{}, false},   // even parity wrong
		{26, "2ec0c87", card{}, false},   // odd parity wrong
		{26, "6ec0c86", card{}, false},   // a 27th bit
		{26, "02ec0c86", card{}, false},  // a digit too many
		{26, "0000000", card{}, false},   // a wire that is torn
		{27, "2ec0c86", card{}, false},   // of no format
		{37, "002ec0c86", card{}, false}, // a digit short
	} {
		in := PresentedWiegandInput{test.bits, test.hex}
		if got, ok := in.decode(); got != test.want || ok != test.ok {
			t.Errorf("%d bits %s: %+v, %t", test.bits, test.hex, got, ok)
		}
	}
}

// encode is the other way, written from the description: bit after bit.
func (c card) encode() PresentedWiegandInput {
	l := cardFormats[c.format]
	data := fmt.Sprintf("%0*b", l.facility, c.facility)
	if l.serial() {
		data = ""
	}
	data += fmt.Sprintf("%0*b", l.number, c.number)
	if !l.serial() {
		even, odd := 0, 1
		for i := range l.covered {
			even ^= int(data[i] - '0')
			odd ^= int(data[len(data)-1-i] - '0')
		}
		data = fmt.Sprintf("%d%s%d", even, data, odd)
	}
	var number uint64
	_, _ = fmt.Sscanf(data, "%b", &number)
	return PresentedWiegandInput{len(data), fmt.Sprintf("%0*x", (len(data)+3)/4, number)}
}

func FuzzWiegand(f *testing.F) {
	f.Add(26, "2ec0c86")
	f.Add(37, "1000100002")
	f.Add(32, "9a01c4f7")
	f.Add(56, "04a1b2c3d4e5f6")
	f.Fuzz(func(t *testing.T, bits int, hex string) {
		in := PresentedWiegandInput{bits, hex}
		var faulty faults
		in.check(&faulty, "")
		read, ok := in.decode()
		if !ok {
			return
		}
		if len(faulty.found) > 0 {
			t.Fatalf("read what is malformed: %+v", in)
		}
		again, ok := read.encode().decode()
		if !ok || again != read || read.encode().Bits != bits {
			t.Fatalf("%+v is %+v, and that %+v", in, read, read.encode())
		}
		for i := range bits { // parity tells of every single bit that is wrong
			var number uint64
			_, _ = fmt.Sscanf(hex, "%x", &number)
			wrong := PresentedWiegandInput{bits, fmt.Sprintf("%0*x", len(hex), number^1<<i)}
			if other, ok := wrong.decode(); ok && (other == read || !cardFormats[read.format].serial()) {
				t.Fatalf("bit %d does not matter in %+v", i, in)
			}
		}
	})
}

func TestCardHints(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]card{
		"••5535": {CardWiegand26, 1, 65535}, "••711": {CardWiegand26, 1, 4711},
		"••": {CardWiegand26, 1, 7}, "••E5F6": {CardCSN56, 0, 0x04a1b2c3d4e5f6},
	} {
		if got := c.hint(); got != want {
			t.Errorf("%d: %s, want %s", c.number, got, want)
		}
	}
}
