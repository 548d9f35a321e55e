package graph

import (
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/cardea/cardea/graph/generated"
	"github.com/cardea/cardea/internal/hostile"
)

// FuzzGuard looks for documents that take long to judge, or much memory. A text is one as it is; a
// program writes one that fits the schema, which is what validation works hardest for. Fuzzing makes all
// slower, so the bound of time is wider than what the corpus is held to.
func FuzzGuard(f *testing.F) {
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	for _, text := range hostile.Documents() {
		f.Add(text, []byte(nil))
	}
	for seed := range 64 {
		program := make([]byte, 300)
		for i := range program {
			program[i] = byte((i*i*7 + seed*31*i + seed) >> (i % 3))
		}
		f.Add("", program)
	}
	f.Fuzz(func(t *testing.T, text string, program []byte) {
		if len(program) > 0 {
			text = writeDocument(schema, program)
		}
		if len(text) > maxText {
			return
		}
		var before, after runtime.MemStats
		took := time.Hour
		for range 3 {
			runtime.ReadMemStats(&before)
			start := spent()
			judge(schema, text, false)
			took = min(took, spent()-start)
			runtime.ReadMemStats(&after)
			if took < 5*time.Millisecond {
				break
			}
		}
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 2<<20 || took > 50*time.Millisecond {
			t.Errorf("%s, %d bytes allocated for %d:\n%s", took, allocated, len(text), text)
		}
	})
}

// spent is what the process has, of the processor.
func spent() time.Duration {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// writer writes a document by a program: each byte is a step.
type writer struct {
	strings.Builder
	schema *ast.Schema
	open   []*ast.Definition
}

func writeDocument(schema *ast.Schema, program []byte) string {
	w := &writer{schema: schema, open: []*ast.Definition{schema.Query}}
	w.WriteString("{ ")
	for i := 0; i < len(program) && w.Len() < maxText; i++ {
		w.step(program[i], i)
	}
	for range w.open {
		w.WriteString("} ")
	}
	for i, of := range []string{"Query", "Door", "User", "Key", "Site"} {
		fmt.Fprintf(w, "fragment f%d on %s { ", i, of)
		w.open = []*ast.Definition{schema.Types[of]}
		for _, step := range program[min(len(program), 20*i):min(len(program), 20*i+20)] {
			w.step(step, i)
		}
		for range w.open {
			w.WriteString("} ")
		}
	}
	return w.String()
}

func (w *writer) step(step byte, i int) {
	of := w.open[len(w.open)-1]
	switch {
	case step%16 == 0 && len(w.open) > 1:
		w.open = w.open[:len(w.open)-1]
		w.WriteString("} ")
	case step%16 == 1:
		fmt.Fprintf(w, "...f%d ", int(step>>4)%5)
	case step%16 == 2:
		w.open = append(w.open, of)
		fmt.Fprintf(w, "... on %s { ", of.Name)
	case len(of.Fields) > 0:
		w.field(of.Fields[int(step>>2)%len(of.Fields)], step, i)
	default:
		w.WriteString("__typename ")
	}
}

func (w *writer) field(f *ast.FieldDefinition, step byte, i int) {
	if step%8 == 3 {
		fmt.Fprintf(w, "a%d: ", i%30)
	}
	w.WriteString(f.Name)
	for _, a := range f.Arguments {
		if a.Type.NonNull && a.DefaultValue == nil {
			fmt.Fprintf(w, `(%s: "x")`, a.Name)
			break
		}
	}
	w.WriteByte(' ')
	if def := w.schema.Types[f.Type.Name()]; def.Kind == ast.Object || def.Kind == ast.Interface {
		w.open = append(w.open, def)
		w.WriteString("{ id ")
	}
}

// What is kept of documents takes no more memory than it is counted for, valid or not.
func TestDocumentsAreBounded(t *testing.T) { //nolint:paralleltest // it weighs the process
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	for name, text := range map[string]string{
		"dense": "{ " + strings.Repeat("viewer{role}", 9) +
			" doors(first: 9) { nodes { id name keys { nodes { id } } } } }",
		"long":    "{ viewer { role } } #" + strings.Repeat("x", 15000),
		"refused": "{ " + strings.Repeat("nothing ", 9) + "}",
		"many":    "{ doors { nodes { " + strings.Repeat("id name lockState ", 20) + "} } }",
	} {
		kept := generations[*judgement]{most: cacheBytes}
		before := heap()
		for i := range 60_000 {
			text := fmt.Sprint(text, " # ", i) // a text of its own
			v := judge(schema, text, false)
			kept.add(text, v, v.bytes)
			if kept.old != nil && kept.bytes > cacheBytes*2/5 {
				break // both generations are full
			}
		}
		if took := heap() - before; took > cacheBytes {
			t.Errorf("%s: %d documents take %d KiB", name, len(kept.young)+len(kept.old), took>>10)
		}
		runtime.KeepAlive(&kept)
	}
}

func heap() int64 {
	runtime.GC()
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	return int64(now.HeapAlloc)
}
