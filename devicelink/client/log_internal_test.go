package client

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/typeid"
)

func TestSentAgainIsLate(t *testing.T) {
	t.Parallel()
	l := NewLog(1)
	must(t, l.link(0))
	must(t, l.Append(0, report("door.opened"), &devicelink.Result{Stage: command.StageCONFIRMED}))
	inFlight, _ := l.outgoing(0)
	must(t, l.link(0))
	again, _ := l.outgoing(0)
	for i, late := range []bool{
		again[0].(*devicelink.Report).Buffered, again[1].(*devicelink.Result).Buffered,
	} {
		if !late {
			t.Errorf("entry %d is sent again as live", i+1)
		}
	}
	if inFlight[0].(*devicelink.Report).Buffered || len(again) != 2 {
		t.Error("what the earlier link is sending has changed under it")
	}
}

// TestLateWelcome: a welcome that was long on its way does not make our idea of the server's clock late.
func TestLateWelcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{Log: NewLog(1), Device: nobody{}})
		asked := time.Now()
		time.Sleep(8 * time.Second) //nolint:forbidigo // bubble
		must(t, l.begin(&devicelink.Welcome{ServerTime: asked}, asked))
		if late := time.Since(l.ServerClock()); late != 0 {
			t.Errorf("%v behind", late)
		}
	})
}

// TestFileSurvives: a log that is opened again is what it was, but for what it had half written.
func TestFileSurvives(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	l := open(t, path)
	must(t, l.link(0))
	must(t, l.Append(7, report("door.opened"), report("door.closed")))
	must(t, l.Lose(9, 2))
	must(t, l.Append(10, report("lock.locked")))
	l.forget(1)
	must(t, l.Close())
	torn, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = torn.WriteString(`{"mark":11,"entries":[{"type":"rep`)
	must(t, err)
	must(t, torn.Close())

	again := open(t, path)
	if again.Epoch() != l.Epoch() || again.Mark() != 10 || again.Written() != 5 {
		t.Errorf("epoch %d for %d, mark %d, %d written", again.Epoch(), l.Epoch(), again.Mark(),
			again.Written())
	}
	if got := sequences(again); !slices.Equal(got, []int64{1, 2, 5}) {
		t.Errorf("entries %v", got)
	}
	must(t, again.link(2))
	must(t, again.Append(0, report("door.opened")))
	if got := sequences(again); !slices.Equal(got, []int64{5, 6}) || again.Mark() != 10 {
		t.Errorf("then %v, mark %d", got, again.Mark())
	}
}

// TestFilePutBack: a server that has more than the file is not told new things under old numbers.
func TestFilePutBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	l := open(t, path)
	must(t, l.Append(3, report("door.opened")))
	before := l.Epoch()
	if err := l.link(40); err == nil {
		t.Fatal("it goes on")
	}
	must(t, l.Close())
	again := open(t, path)
	if again.Epoch() <= before || again.Mark() != 3 || !slices.Equal(sequences(again), []int64{1}) {
		t.Errorf("epoch %d after %d, entries %v", again.Epoch(), before, sequences(again))
	}
	must(t, again.link(0))
}

// TestLongFileIsWrittenAnew once the server has what is in it.
func TestLongFileIsWrittenAnew(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	l := open(t, path)
	must(t, l.link(0))
	const longest = 300 << 10
	long := &devicelink.Report{At: time.Now(), Event: string(make([]byte, longest))}
	for range 4 {
		must(t, l.Append(1, long))
	}
	must(t, l.Append(2, report("door.opened")))
	l.forget(4)
	must(t, l.Close())
	if is, err := os.Stat(path); err != nil || is.Size() > longest {
		t.Errorf("%d bytes, %v", is.Size(), err)
	}
	if got := sequences(open(t, path)); !slices.Equal(got, []int64{5}) {
		t.Errorf("entries %v", got)
	}
}

func report(event string) *devicelink.Report {
	return &devicelink.Report{At: time.Now().UTC(), Event: event, UserID: typeid.New[typeid.User]()}
}

func sequences(l *Log) (all []int64) {
	for _, entry := range l.Entries() {
		all = append(all, Sequence(entry))
	}
	return all
}

func open(t *testing.T, path string) *Log {
	t.Helper()
	l, err := OpenLog(path)
	must(t, err)
	return l
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// nobody is a device that heeds nothing.
type nobody struct{}

func (nobody) Linked(*devicelink.Welcome)    {}
func (nobody) Heard(devicelink.Frame)        {}
func (nobody) Unlinked(devicelink.CloseCode) {}
