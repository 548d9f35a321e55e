package access

import (
	"slices"
	"testing"
	"time"
)

func TestPINDigits(t *testing.T) {
	t.Parallel()
	for inForce, want := range map[int]int{
		1: 6, 1000: 6, 1001: 7, 10_000: 7, 10_001: 8, 100_000: 8, 1_000_000: 9,
	} {
		if got := pinDigits(inForce); got != want {
			t.Errorf("%d in force: %d digits, want %d", inForce, got, want)
		}
	}
}

func TestWeakPINs(t *testing.T) {
	t.Parallel()
	for _, pin := range []string{
		"111111", "123456", "654321", "890123", "210987", "864208", "121212", "123123",
	} {
		if !weakPIN(pin) {
			t.Errorf("%s passes", pin)
		}
	}
	for _, pin := range []string{"493127", "112233", "123457", "1231234"} {
		if weakPIN(pin) {
			t.Errorf("%s is refused", pin)
		}
	}
	for range 2000 {
		if pin := drawPIN(6); len(pin) != 6 || !allDigits(pin) || weakPIN(pin) {
			t.Fatalf("drew %s", pin)
		}
	}
}

func TestNearPINs(t *testing.T) {
	t.Parallel()
	near := nearPINs("493127")
	if len(near) != 54 || !slices.Contains(near, "493128") || !slices.Contains(near, "093127") ||
		slices.Contains(near, "493127") {
		t.Errorf("got %v", near)
	}
}

func TestBlocksDouble(t *testing.T) {
	t.Parallel()
	for failures, want := range map[int]time.Duration{
		1: 0, 4: 0, 5: 30 * time.Second, 6: 0, 10: time.Minute, 15: 2 * time.Minute, 25: 8 * time.Minute,
		30: 15 * time.Minute, 35: 15 * time.Minute, 10_000: 15 * time.Minute,
	} {
		if got := blockAfter(failures); got != want {
			t.Errorf("after %d: %s, want %s", failures, got, want)
		}
	}
}
