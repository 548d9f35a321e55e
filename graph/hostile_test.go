package graph_test

import (
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cardea/cardea/internal/hostile"
)

// The bounds of what a hostile document may do.
const (
	mostAllocated = 2 << 20
	mostCPU       = 5 * time.Millisecond
	mostAnswered  = 4 << 10
	mostErrors    = 10
)

// What would cost much is refused before it costs anything. Each document comes from somebody with a
// token, through the whole handler: nobody else's is even looked at.
func TestHostileDocuments(t *testing.T) { //nolint:paralleltest // it counts what the process allocates
	w := setup(t)
	all, worst := hostile.Documents(), time.Duration(0)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		a := w.asActor(w.admin, all[name])
		runtime.ReadMemStats(&after)
		allocated := after.TotalAlloc - before.TotalAlloc
		if len(a.Errors) == 0 || len(a.Errors) > mostErrors || len(a.raw) > mostAnswered || allocated > mostAllocated {
			t.Errorf("%s: %d errors, %d bytes answered, %d allocated: %.300s",
				name, len(a.Errors), len(a.raw), allocated, a.raw)
		}
		if took := w.cpu(w.admin, all[name]); took > time.Duration(leisure())*mostCPU {
			t.Errorf("%s takes %s of a processor", name, took)
		} else if worst = max(worst, took); took == worst {
			t.Logf("%s: %s, %d bytes", name, took, allocated)
		}
	}
}

// leisure is how much longer all takes with the race detector.
func leisure() int64 {
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings,
		debug.BuildSetting{Key: "-race", Value: "true"}) {
		return 15
	}
	return 1
}

// cpu is what a document takes the processor, as the mean of some tries, none of which finds what was
// judged of another. (Some systems count by the millisecond.)
func (w *world) cpu(p person, document string) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const tries = 20
	before := threadTime()
	for i := range tries {
		w.asActor(p, strings.Repeat(" ", i+1)+document)
	}
	return (threadTime() - before) / tries
}

// threadTime is what this thread has spent; nothing where the system does not tell.
func threadTime() time.Duration {
	const thread = 1
	var used syscall.Rusage
	if syscall.Getrusage(thread, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
