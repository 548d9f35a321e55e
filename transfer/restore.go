package transfer

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/cardea/cardea/access"
)

const (
	// maxLine is the longest line of an archive, in bytes. An event has 10 KiB of data at most; a
	// schedule or a command has a few times that.
	maxLine = 1 << 20
	// maxDirectory is how much of an archive is read to learn which files are in it.
	maxDirectory = 256 << 10
	// maxManifest is the size of the largest manifest, in bytes.
	maxManifest = 1 << 20
	// DefaultMaxArchive is how much an archive holds at most, unpacked, if nothing else is said.
	DefaultMaxArchive = 64 << 30
)

// RestoreOptions say how an archive is imported.
type RestoreOptions struct {
	DryRun         bool
	WithoutSecrets bool  // see access.ImportOrganizationInput
	MaxBytes       int64 // that the archive holds, unpacked; 0: DefaultMaxArchive
}

// Restore makes an organization of an archive, for a system actor: all of it, or nothing. It trusts no
// byte of the archive before it has seen that they are as they were written, and no row even then. It
// needs little memory, however much there is. Refusals are access.Error.
func Restore(
	ctx context.Context, s *access.Service, from io.ReaderAt, size int64, how RestoreOptions,
) (*access.ImportedOrganization, error) {
	if how.MaxBytes == 0 {
		how.MaxBytes = DefaultMaxArchive
	}
	a, err := openArchive(from, size, how.MaxBytes)
	if err != nil {
		return nil, err
	}
	root, err := hex.DecodeString(a.told.Journal.Root)
	if err != nil || len(root) != sha256.Size {
		return nil, badFile("the manifest tells no root of the journal")
	}
	return s.ImportOrganization(ctx, access.ImportOrganizationInput{
		ID: a.told.Organization, Size: a.told.Journal.Size, Root: root, Lines: a.lines,
		DryRun: how.DryRun, WithoutSecrets: how.WithoutSecrets,
	})
}

// opened is an archive whose mark is right, and whose files are those that its manifest tells of.
type opened struct {
	told  manifest
	files map[string]*zip.File
}

func openArchive(from io.ReaderAt, size, maxBytes int64) (*opened, error) {
	if err := checkMark(from, size); err != nil {
		return nil, err
	}
	budget := &frugal{from: from, left: maxDirectory}
	in, err := zip.NewReader(budget, size)
	if err != nil {
		return nil, badFile("it is no archive: " + err.Error())
	}
	budget.left = -1
	a := &opened{files: map[string]*zip.File{}}
	if last := len(in.File) - 1; last < 0 || in.File[last].Name != manifestName {
		return nil, badFile("it is no archive of an organization: the last file is not " + manifestName)
	} else if a.told, err = readManifest(in.File[last]); err != nil {
		return nil, err
	}
	err = a.check(in.File[:len(in.File)-1], maxBytes)
	return a, err
}

// checkMark reads the archive once, and fails unless it is as it was written.
func checkMark(from io.ReaderAt, size int64) error {
	damaged := badFile("it is not as it was written: it is no archive, is damaged or broke off")
	if size < markSize {
		return damaged
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(from, 0, size-markSize)); err != nil {
		return fmt.Errorf("read archive: %w", err)
	}
	mark := make([]byte, markSize)
	if _, err := from.ReadAt(mark, size-markSize); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read archive: %w", err)
	}
	if hex.EncodeToString(sum.Sum(nil)) != string(mark) {
		return damaged
	}
	return nil
}

// frugal reads no more than what is left, which may be without end: -1. A directory of a million files
// would be a million headers in memory.
type frugal struct {
	from io.ReaderAt
	left int64
}

func (f *frugal) ReadAt(into []byte, at int64) (int, error) {
	if f.left < 0 {
		return f.from.ReadAt(into, at)
	}
	if f.left < int64(len(into)) {
		return 0, errors.New("it has too many files")
	}
	n, err := f.from.ReadAt(into, at)
	f.left -= int64(n)
	return n, err
}

func readManifest(file *zip.File) (told manifest, err error) {
	from, err := file.Open()
	if err != nil {
		return told, badFile(manifestName + ": " + err.Error())
	}
	text, err := io.ReadAll(io.LimitReader(from, maxManifest+1))
	if err = errors.Join(err, from.Close()); err != nil || len(text) > maxManifest {
		return told, badFile(manifestName + " is damaged or too long")
	}
	var form struct {
		Format int `json:"format"`
	}
	if json.Unmarshal(text, &form) != nil || form.Format < 1 {
		return told, badFile(manifestName + " is none of an organization")
	}
	if form.Format != archiveFormat {
		return told, badFile(fmt.Sprintf("it has format %d; this version imports %d", form.Format, archiveFormat))
	}
	if json.Unmarshal(text, &told) != nil || told.Organization.IsZero() {
		return told, badFile(manifestName + " is none of an organization")
	}
	return told, nil
}

// check compares the files with the manifest, and with what an archive holds, in order.
func (a *opened) check(files []*zip.File, maxBytes int64) error {
	var wanted, are, told []string
	var bytes int64
	for _, file := range access.ArchiveFiles {
		wanted = append(wanted, fileName(file.Name))
	}
	for _, file := range files {
		are = append(are, file.Name)
		a.files[file.Name] = file
	}
	for _, entry := range a.told.Files {
		told = append(told, entry.Name)
		if entry.Bytes < 0 || entry.Bytes > maxBytes-bytes {
			return badFile(fmt.Sprintf("it holds more than %d bytes", maxBytes))
		}
		bytes += entry.Bytes
	}
	if !slices.Equal(are, wanted) || !slices.Equal(told, wanted) {
		return badFile("it does not hold the files of an organization, in their order")
	}
	return nil
}

// lines reads a file of the archive from its first line. It ends with an error unless the file is, to its
// end, what the manifest tells, and reads no further than that.
func (a *opened) lines(table string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		name := fileName(table)
		told := a.told.Files[slices.IndexFunc(a.told.Files, func(e fileEntry) bool { return e.Name == name })]
		from, err := a.files[name].Open()
		if err != nil {
			yield(nil, damagedFile(err))
			return
		}
		defer func() { _ = from.Close() }()
		is := hashed{to: io.Discard, sum: sha256.New()}
		scan := bufio.NewScanner(io.TeeReader(io.LimitReader(from, told.Bytes+1), &is))
		scan.Buffer(make([]byte, 64<<10), maxLine)
		scan.Split(wholeLines)
		count := 0
		for scan.Scan() {
			if count++; count > told.Lines {
				break
			}
			if !yield(scan.Bytes(), nil) {
				return
			}
		}
		sum := hex.EncodeToString(is.sum.Sum(nil))
		switch err := scan.Err(); {
		case errors.Is(err, bufio.ErrTooLong):
			yield(nil, badFile(fmt.Sprintf("a line is longer than %d bytes", maxLine)))
		case err != nil:
			yield(nil, damagedFile(err))
		case count != told.Lines || is.bytes != told.Bytes || sum != told.SHA256:
			yield(nil, badFile("it is not what the manifest tells"))
		}
	}
}

func damagedFile(err error) error { return badFile("it is damaged: " + err.Error()) }

// wholeLines splits a text into lines that all end.
func wholeLines(text []byte, atEnd bool) (int, []byte, error) {
	if end := bytes.IndexByte(text, '\n'); end >= 0 {
		return end + 1, text[:end], nil
	}
	if atEnd && len(text) > 0 {
		return 0, nil, errors.New("its last line does not end")
	}
	return 0, nil, nil
}
