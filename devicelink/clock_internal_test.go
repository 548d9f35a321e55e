package devicelink

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/cardea/cardea/typeid"
)

// TellTime has a device that is linked here told the time, now.
func TellTime(r *Router, device typeid.Device) error { return r.find(device).tellTime() }

// TestWhatIsCertainOfAClock: the device read its clock after it was asked and before its answer came.
func TestWhatIsCertainOfAClock(t *testing.T) {
	t.Parallel()
	asked := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	second := func(n float64) time.Time { return asked.Add(time.Duration(n * float64(time.Second))) }
	for name, c := range map[string]struct {
		showed, answered time.Time
		want             time.Duration
	}{
		"right":                      {second(0.01), second(0.02), 0},
		"right, and long on its way": {second(1), second(60), 0},
		"as the question came":       {second(0), second(60), 0},
		"ahead":                      {second(5), second(1), 4 * time.Second},
		"behind":                     {second(-5), second(1), -5 * time.Second},
		"a little ahead":             {second(1.0004), second(1), 0},
	} {
		if got := aheadBy(c.showed, asked, c.answered); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestTimeIsToldEveryMinute: each is signed, in its turn, and names when the answer before it came.
func TestTimeIsToldEveryMinute(t *testing.T) {
	t.Parallel()
	ring, err := NewKeyring(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan struct{})
		device := typeid.New[typeid.Device]()
		var l *link
		conn := over(t, func(conn *websocket.Conn) {
			defer close(ended)
			var ctx context.Context
			l, ctx = bareLink(t, conn)
			l.signer, l.Device, l.Epoch = ring.Newest(), device, 7
			ctx, stop := context.WithTimeout(ctx, 3*time.Minute+time.Second)
			defer stop()
			go func() {
				for {
					f, err := l.receive()
					if err != nil {
						return
					}
					l.clock.answer(f.(*Clock))
				}
			}()
			l.heartbeat(ctx)
			_ = conn.CloseNow()
		})
		began := time.Now()
		var heard time.Time
		for n := int64(1); n <= 3; n++ {
			_, text, err := conn.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			f, err := Decode(text)
			if err != nil {
				t.Fatal(err)
			}
			told := f.(*Time)
			if !SignedBy(told, ring.Public(), device) || told.Epoch != 7 || told.Sequence != n {
				t.Errorf("%s", text)
			}
			at := began.Add(time.Duration(n) * time.Minute)
			if !told.ServerTime.Equal(at) || !told.HeardAt.Equal(heard) {
				t.Errorf("after %s: %s", at.Sub(began), text)
			}
			if n == 2 { // it says nothing this time
				heard = time.Time{}
				continue
			}
			time.Sleep(3 * time.Second) //nolint:forbidigo // bubble: the answer takes long
			heard = time.Now()
			answer, _ := Encode(&Clock{Answers: n, At: at.Add(20 * time.Second)})
			if err := conn.Write(t.Context(), websocket.MessageText, answer); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if got := l.clock.now(); got != 17*time.Second {
				t.Errorf("ahead by %s", got)
			}
		}
		_, _, _ = conn.Read(t.Context())
		<-ended
	})
}

// TestAnswersThatSayNothing: only the first answer to the last question counts.
func TestAnswersThatSayNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c clock
		c.begin(0)
		wrong := time.Now().Add(time.Hour)
		c.ask(&Time{}, 1)
		c.ask(&Time{}, 5)
		for _, answers := range []int64{1, 4, 6} {
			if _, news := c.answer(&Clock{Answers: answers, At: wrong}); news || c.now() != 0 {
				t.Errorf("%d is taken for an answer", answers)
			}
		}
		if _, news := c.answer(&Clock{Answers: 5, At: time.Now()}); news {
			t.Error("a clock that is right is news")
		}
		if _, news := c.answer(&Clock{Answers: 5, At: wrong}); news || c.now() != 0 {
			t.Error("a second answer counts")
		}
		c.ask(&Time{}, 6)
		if offset, news := c.answer(&Clock{Answers: 6, At: wrong}); !news || offset != time.Hour {
			t.Errorf("%s, %t", offset, news)
		}
	})
}
