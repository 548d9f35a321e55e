package client

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cardea/cardea/devicelink"
)

// file keeps a log without power: lines of JSON, each on the disk before its entries count. The first
// says where the log stands before the others. What the server has acknowledged stays in it until it
// is written anew; the next welcome tells.
type file struct {
	path string
	out  *os.File
	size int64
}

// line is one line of a file.
type line struct {
	Epoch   int64             `json:"logEpoch,omitempty"` // of the first line
	Written int64             `json:"written,omitempty"`  // likewise
	Mark    int64             `json:"mark,omitempty"`
	Lost    int64             `json:"lost,omitempty"`
	Entries []json.RawMessage `json:"entries,omitempty"`
}

// longFile is the size from which a file is written anew.
const longFile = 1 << 20

// OpenLog returns the log that a file keeps, or an empty one if there is no such file. What a loss of
// power left half written at its end was never told to anybody, and is dropped.
func OpenLog(path string) (*Log, error) {
	l := NewLog(0)
	l.file = &file{path: path}
	in, err := os.Open(path) //nolint:gosec // the operator names it
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("open log: %w", err)
	default:
		err = l.read(in)
		_ = in.Close() // only read
		if err != nil {
			return nil, fmt.Errorf("read log %s: %w", path, err)
		}
	}
	if err := l.compact(); err != nil {
		return nil, err
	}
	return l, nil
}

// Close closes the log's file; nothing can be logged any more.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.out.Close()
}

func (l *Log) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for n := 1; ; n++ {
		text, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var next line
		if err := json.Unmarshal(text, &next); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if n == 1 {
			l.epoch, l.written = next.Epoch, next.Written
		}
		if next.Mark != 0 {
			l.mark = next.Mark
		}
		l.written += next.Lost
		for _, text := range next.Entries {
			entry, err := devicelink.Decode(text)
			if err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
			l.entries, l.written = append(l.entries, entry), max(l.written, Sequence(entry))
		}
	}
}

// compact writes the file anew, in place of the old one; l.mu is held, or nobody else has l yet.
func (l *Log) compact() error {
	if l.file == nil {
		return nil
	}
	first := line{Epoch: l.epoch, Written: l.written, Mark: l.mark, Entries: record(l.entries)}
	return l.file.replace(first)
}

func (f *file) long() bool { return f.size > longFile }

func (f *file) replace(first line) error {
	next, err := os.CreateTemp(filepath.Dir(f.path), filepath.Base(f.path)+".*")
	if err != nil {
		return fmt.Errorf("write log: %w", err)
	}
	fresh := &file{path: f.path, out: next}
	if err = fresh.append(first); err == nil {
		err = os.Rename(next.Name(), f.path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write log: %w", err), next.Close(), os.Remove(next.Name()))
	}
	if f.out != nil {
		_ = f.out.Close() // it is no file any more
	}
	*f = *fresh
	return syncDirectory(filepath.Dir(f.path))
}

// syncDirectory has the names of a directory's files on the disk when it returns.
func syncDirectory(path string) error {
	dir, err := os.Open(path) //nolint:gosec // the operator names it
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// append writes a line and has it on the disk when it returns.
func (f *file) append(next line) error {
	text, err := json.Marshal(next)
	if err != nil {
		return err
	}
	text = append(text, '\n')
	n, err := f.out.Write(text)
	if err == nil {
		err = f.out.Sync()
	}
	if err != nil {
		_, back := f.out.Seek(f.size, io.SeekStart)
		return errors.Join(err, f.out.Truncate(f.size), back)
	}
	f.size += int64(n)
	return nil
}

func record(entries []devicelink.Frame) []json.RawMessage {
	texts := make([]json.RawMessage, len(entries))
	for i, entry := range entries {
		texts[i], _ = devicelink.Encode(entry) // a frame of ours can be encoded
	}
	return texts
}
