package main

import "testing"

func TestRoomForGarbage(t *testing.T) {
	t.Parallel()
	for inUse, want := range map[uint64]int{
		0: most, 1 << 20: most, 8 << 20: 200, 12 << 20: 133, 16 << 20: usual, 1 << 30: usual,
	} {
		if got := percentFor(inUse); got != want {
			t.Errorf("with %d bytes in use: %d %%, not %d", inUse, got, want)
		}
	}
}
