package bucket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cardea/cardea/internal/testenv/bucketserver"
	"github.com/cardea/cardea/transfer/bucket"
)

// serve starts a server that nobody here wrote, and returns how the environment names it.
func serve(t *testing.T) func(string) string {
	t.Helper()
	env := bucketserver.Start(t)
	return func(name string) string { return env[name] }
}

const parts = 64 << 10

func place(t *testing.T, env func(string) string, key string) *bucket.Place {
	t.Helper()
	p, err := bucket.Parse("s3://logs/"+key, env)
	if err != nil {
		t.Fatal(err)
	}
	p.PartSize = parts
	return p
}

// read is an object, or nothing.
func read(t *testing.T, p *bucket.Place) string {
	t.Helper()
	object, err := p.Read(t.Context())
	if err != nil {
		return ""
	}
	defer func() { _ = object.Close() }()
	text, err := io.ReadAll(object)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// write writes what looks like the export of a log of so many entries, with a long line that is none
// after each hundred, to the end or until a writer fails. It begins after an entry.
func write(to io.Writer, entries, after int) error {
	var err error
	line := func(format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(to, format+"\n", args...)
		}
	}
	if after == 0 {
		line(`{"format":"cardea-log/1","first":1,"last":%d,"size":%[1]d}`, entries)
	}
	for n := max(after, 1); n <= entries; n++ {
		if n > after {
			line(`{"data":{"n":"%0*d"},"sequence":%d}`, n%700, n, n)
		}
		if n%100 == 0 {
			line(`{"tile":{"hashes":"%s"}}`, strings.Repeat(strconv.Itoa(n), 9000))
		}
	}
	return err
}

func whole(entries int) string {
	var to bytes.Buffer
	_ = write(&to, entries, 0)
	return to.String()
}

func TestUploadIsTheFile(t *testing.T) {
	t.Parallel()
	env := serve(t)
	for _, entries := range []int{0, 1, 1500} {
		p := place(t, env, fmt.Sprint("of/", entries))
		u, err := p.Begin(t.Context(), 7)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(write(u, entries, 0), u.Close()); err != nil {
			t.Fatal(err)
		}
		if read(t, p) != whole(entries) {
			t.Errorf("%d entries are not as they were written", entries)
		}
		if _, err := p.Begin(t.Context(), 0); !errors.Is(err, bucket.ErrThere) {
			t.Errorf("over it: %v", err)
		}
		if _, err := p.Resume(t.Context()); !errors.Is(err, bucket.ErrNothing) {
			t.Errorf("go on with what is whole: %v", err)
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	u, err := place(t, env, "large").Begin(t.Context(), 0)
	if err == nil {
		err = errors.Join(write(u, 8000, 0), u.Close())
	}
	runtime.GC()
	if runtime.ReadMemStats(&after); err != nil || after.HeapAlloc > before.HeapAlloc+8<<20 {
		t.Errorf("%d bytes more in use, %v", after.HeapAlloc-before.HeapAlloc, err)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	full := map[string]string{"AWS_ACCESS_KEY_ID": "gate", "AWS_SECRET_ACCESS_KEY": "cellar"}
	for text, env := range map[string]map[string]string{
		"":               full,
		"https://logs/a": full,
		"s3://logs":      full,
		"s3://logs/":     full,
		"s3://logs/a/":   full,
		"s3:///a":        full,
		"s3://logs/a?endpoint=storage.example.com":        full,
		"s3://logs/a?endpoint=https://example.com/inside": full,
		"s3://logs/a": {"AWS_ACCESS_KEY_ID": "gate"},
	} {
		_, err := bucket.Parse(text, func(name string) string { return env[name] })
		if !errors.Is(err, bucket.ErrUnknown) {
			t.Errorf("%q: %v", text, err)
		}
	}
	p, err := bucket.Parse("s3://logs/a/b?endpoint=https://storage.example.com",
		func(name string) string { return full[name] })
	if err != nil || p.String() != "s3://logs/a/b" {
		t.Errorf("%v, %v", p, err)
	}
}

func TestWrongSecretIsRefused(t *testing.T) {
	t.Parallel()
	env := serve(t)
	wrong := func(name string) string {
		if name == "AWS_SECRET_ACCESS_KEY" {
			return "quay"
		}
		return env(name)
	}
	if u, err := place(t, wrong, "x").Begin(t.Context(), 0); err == nil {
		t.Errorf("begun: %v", u.Range())
	}
}

// TestKilledUploadGoesOn kills the process that uploads with SIGKILL, again and again, at bytes that have
// nothing to do with parts or lines; what it leaves is gone on with until the object is whole.
func TestKilledUploadGoesOn(t *testing.T) {
	t.Parallel()
	env := serve(t)
	const entries = 2500
	key := "killed"
	p := place(t, env, key)
	want := whole(entries)
	var wentOn []int
	for n, limit := range []int{parts + 5, 100, 3*parts + 77, parts * 5, 40_000, parts, len(want)} {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestUploader$")
		child.Env = append(os.Environ(), //nolint:forbidigo // for a process of the test
			"UPLOADER="+key, fmt.Sprint("LIMIT=", limit),
			"AWS_ACCESS_KEY_ID=gate", "AWS_SECRET_ACCESS_KEY=cellar", "AWS_ENDPOINT_URL="+env("AWS_ENDPOINT_URL"))
		out, err := child.CombinedOutput()
		if child.ProcessState.Exited() && err != nil {
			t.Fatalf("%d: %v\n%s", n, err, out)
		}
		after := 0
		_, _ = fmt.Sscanf(string(out), "after %d", &after)
		wentOn = append(wentOn, after)
		if got := read(t, p); got != "" && got != want {
			t.Fatal("half an object is there")
		}
	}
	t.Logf("went on after %v", wentOn)
	if read(t, p) != want || len(slices.Compact(wentOn)) < 3 {
		t.Error("the object is not what was written, or it was not gone on with")
	}
	if _, err := p.Resume(t.Context()); !errors.Is(err, bucket.ErrNothing) {
		t.Errorf("how far it came stands yet: %v", err)
	}
}

// TestUploader is the process that TestKilledUploadGoesOn kills: it kills itself after so many bytes.
func TestUploader(t *testing.T) { //nolint:paralleltest // it is alone in its process
	key := os.Getenv("UPLOADER") //nolint:forbidigo // what the test that started it says
	if key == "" {
		t.Skip("is for another test")
	}
	p := place(t, os.Getenv, key) //nolint:forbidigo // likewise
	u, err := p.Resume(t.Context())
	if errors.Is(err, bucket.ErrNothing) { // no part was sent
		u, err = p.Begin(t.Context(), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("after", u.Range().After)        //nolint:forbidigo // to its parent
	limit, _ := strconv.Atoi(os.Getenv("LIMIT")) //nolint:forbidigo // likewise
	err = write(&mortal{u, limit}, 2500, int(u.Range().After))
	if err = errors.Join(err, u.Close()); err != nil {
		t.Fatal(err)
	}
}

// mortal is killed when it has written so many bytes.
type mortal struct {
	to   io.Writer
	left int
}

func (m *mortal) Write(text []byte) (int, error) {
	if m.left -= len(text); m.left < 0 {
		self, _ := os.FindProcess(os.Getpid())
		_ = self.Kill()
		select {}
	}
	return m.to.Write(text)
}

// TestChangedLogIsNotGoneOnWith cuts an upload off, and goes on with another log.
func TestChangedLogIsNotGoneOnWith(t *testing.T) {
	t.Parallel()
	env := serve(t)
	p := place(t, env, "changed")
	ctx, cut := context.WithCancel(t.Context())
	u, err := p.Begin(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := write(u, 1000, 0); err != nil {
		t.Fatal(err)
	}
	cut()
	if err := u.Close(); err == nil {
		t.Fatal("it was cut off")
	}
	if _, err := p.Begin(t.Context(), 0); !errors.Is(err, bucket.ErrThere) {
		t.Errorf("over it: %v", err)
	}
	u, err = p.Resume(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other := &changing{u}
	if err := write(other, 1000, int(u.Range().After)); !errors.Is(err, bucket.ErrChanged) {
		t.Errorf("gone on after %+v: %v", u.Range(), err)
	}
	if read(t, p) != "" {
		t.Error("there is an object")
	}
}

// changing writes something else than it is given.
type changing struct{ to io.Writer }

func (c *changing) Write(text []byte) (int, error) {
	return c.to.Write(bytes.ReplaceAll(text, []byte("0"), []byte("1")))
}
