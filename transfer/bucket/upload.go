package bucket

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"

	"github.com/minio/minio-go/v7"

	"github.com/cardea/cardea/journal/extract"
)

// Range is the part of a log that an export is of.
type Range struct {
	First, Last, Size, Previous int64
	// After is the last entry that is in the bucket: the log is to write what follows it. 0: all.
	After int64
}

// state is how far an upload has come: what stands beside the object until it is whole.
type state struct {
	Upload string `json:"upload"` // the bucket's name for it
	Range  Range  `json:"range"`
	Part   int    `json:"part"` // the last that is in the bucket; all have one size
	Size   int    `json:"partSize"`
	// Skip is how many bytes after the entry Range.After are in the bucket too, and Sum their SHA-256.
	Skip int64  `json:"skip"`
	Sum  []byte `json:"sum"`
}

var (
	// ErrThere says that an object is there, or that the export of one broke off.
	ErrThere = errors.New("it is there already, or an export to it broke off: go on with -resume")
	// ErrNothing says that there is nothing to go on with.
	ErrNothing = errors.New("there is nothing to go on with: begin anew")
	// ErrChanged says that the log writes something else than it did before the export broke off.
	ErrChanged = errors.New("the log is not what it was when the export broke off: begin anew, under another key")
)

// Upload is an export on its way. What is written to it is in the bucket part by part, and the object is
// there when Close returned no error. After any other error, Resume goes on.
type Upload struct {
	ctx   context.Context //nolint:containedctx // of the one export that it is
	place *Place
	state state
	sent  int64 // bytes that are in the bucket, of those that are written again

	part  []byte    // of bytes that are not in the bucket
	line  []byte    // that has begun
	entry []byte    // the last whole one; nil: it is Range.After
	since hash.Hash // of what came after it
	count int64     // and how much that is
}

func (p *Place) stateKey() string { return p.Key + ".resume" }

// Begin begins an export to a place where nothing is. Previous is the size of a checkpoint that the reader has.
func (p *Place) Begin(ctx context.Context, previous int64) (*Upload, error) {
	for _, key := range []string{p.Key, p.stateKey()} {
		if there, err := p.has(ctx, key); err != nil {
			return nil, err
		} else if there {
			return nil, ErrThere
		}
	}
	id, err := p.store.NewMultipartUpload(ctx, p.Bucket, p.Key,
		minio.PutObjectOptions{ContentType: "application/x-ndjson"})
	if err != nil {
		return nil, fmt.Errorf("begin upload: %w", err)
	}
	u := p.upload(ctx, state{Upload: id, Range: Range{Previous: previous}, Size: p.PartSize})
	return u, nil
}

// Resume goes on with an export that broke off: the log is to write what Range says.
func (p *Place) Resume(ctx context.Context) (*Upload, error) {
	there, err := p.has(ctx, p.stateKey())
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, ErrNothing
	}
	object, _, _, err := p.store.GetObject(ctx, p.Bucket, p.stateKey(), minio.GetObjectOptions{})
	if err != nil {
		return nil, fmt.Errorf("read how far it came: %w", err)
	}
	defer func() { _ = object.Close() }()
	var s state
	if err := json.NewDecoder(object).Decode(&s); err != nil || s.Part < 1 || s.Size < 1 || len(s.Sum) != sha256.Size {
		return nil, ErrNothing
	}
	return p.upload(ctx, s), nil
}

func (p *Place) upload(ctx context.Context, s state) *Upload {
	return &Upload{ctx: ctx, place: p, state: s, sent: s.Skip, since: sha256.New(), part: make([]byte, 0, s.Size)}
}

// Range is what the log is to write.
func (u *Upload) Range() Range { return u.state.Range }

func (p *Place) has(ctx context.Context, key string) (bool, error) {
	_, err := p.store.StatObject(ctx, p.Bucket, key, minio.StatObjectOptions{})
	if err != nil && minio.ToErrorResponse(err).StatusCode == http.StatusNotFound {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look into the bucket: %w", err)
	}
	return true, nil
}

// Write takes what comes next.
func (u *Upload) Write(text []byte) (int, error) {
	done := 0
	for done < len(text) {
		piece := u.piece(text[done:])
		if err := u.track(piece); err != nil {
			return done, err
		}
		if err := u.take(piece); err != nil {
			return done, err
		}
		done += len(piece)
	}
	return done, nil
}

// piece is the beginning of a text that ends with its line, with the part, or with what is in the bucket.
func (u *Upload) piece(text []byte) []byte {
	room := int64(cap(u.part) - len(u.part))
	if u.sent > 0 {
		room = u.sent
	}
	text = text[:min(room, int64(len(text)))]
	if end := bytes.IndexByte(text, '\n'); end >= 0 {
		text = text[:end+1]
	}
	return text
}

// track keeps where the last whole entry is, and what came after it.
func (u *Upload) track(piece []byte) error {
	u.line = append(u.line, piece...)
	_, _ = u.since.Write(piece) // never fails
	u.count += int64(len(piece))
	if piece[len(piece)-1] != '\n' {
		return nil
	}
	whole := u.line
	u.line = u.line[:0]
	if u.state.Range.Size == 0 {
		return u.begins(whole)
	}
	if !extract.IsEntry(whole) {
		return nil
	}
	u.entry = append(u.entry[:0], whole...)
	u.since.Reset()
	u.count = 0
	return nil
}

// begins reads from the header which part of the log it is.
func (u *Upload) begins(line []byte) error {
	var h extract.Header
	if err := json.Unmarshal(line, &h); err != nil {
		return fmt.Errorf("read header: %w", err)
	}
	r := &u.state.Range
	r.First, r.Last, r.Size = h.First, h.Last, h.Size
	return nil
}

// take leaves out what is in the bucket, and sends a part when it is full.
func (u *Upload) take(piece []byte) error {
	if u.sent > 0 {
		if u.sent -= int64(len(piece)); u.sent == 0 && !bytes.Equal(u.since.Sum(nil), u.state.Sum) {
			return ErrChanged
		}
		return nil
	}
	if u.part = append(u.part, piece...); len(u.part) < cap(u.part) {
		return nil
	}
	return u.send()
}

// send puts a part into the bucket, and then says so beside it.
func (u *Upload) send() error {
	number := u.state.Part + 1
	_, err := u.place.store.PutObjectPart(u.ctx, u.place.Bucket, u.place.Key, u.state.Upload, number,
		bytes.NewReader(u.part), int64(len(u.part)), minio.PutObjectPartOptions{})
	if err != nil {
		return fmt.Errorf("send part %d: %w", number, err)
	}
	u.state.Part, u.part = number, u.part[:0]
	if u.entry != nil {
		var said struct {
			Sequence int64 `json:"sequence"`
		}
		if err := json.Unmarshal(u.entry, &said); err != nil {
			return fmt.Errorf("read entry: %w", err)
		}
		u.state.Range.After = said.Sequence
	}
	u.state.Skip, u.state.Sum = u.count, u.since.Sum(nil)
	text, err := json.Marshal(u.state)
	if err != nil {
		return fmt.Errorf("write how far it came: %w", err)
	}
	_, err = u.place.store.PutObject(u.ctx, u.place.Bucket, u.place.stateKey(), bytes.NewReader(text),
		int64(len(text)), "", "", minio.PutObjectOptions{ContentType: "application/json"})
	if err != nil {
		return fmt.Errorf("write how far it came: %w", err)
	}
	return nil
}

// Close sends the last part, and makes the object of all of them.
func (u *Upload) Close() error {
	if u.sent > 0 {
		return ErrChanged
	}
	if there, err := u.place.has(u.ctx, u.place.Key); err != nil {
		return err
	} else if there { // whoever was killed had come to the very end
		return u.forget()
	}
	if len(u.part) > 0 || u.state.Part == 0 {
		if err := u.send(); err != nil {
			return err
		}
	}
	parts, err := u.parts()
	if err != nil {
		return err
	}
	_, err = u.place.store.CompleteMultipartUpload(u.ctx, u.place.Bucket, u.place.Key, u.state.Upload, parts,
		minio.PutObjectOptions{ContentType: "application/x-ndjson"})
	if err != nil {
		return fmt.Errorf("complete upload: %w", err)
	}
	return u.forget()
}

// forget takes away how far it came.
func (u *Upload) forget() error {
	err := u.place.store.RemoveObject(u.ctx, u.place.Bucket, u.place.stateKey(), minio.RemoveObjectOptions{})
	if err != nil {
		return fmt.Errorf("remove how far it came: %w", err)
	}
	return nil
}

// parts are those that the bucket has, which must be all of them.
func (u *Upload) parts() (all []minio.CompletePart, err error) {
	for len(all) < u.state.Part {
		page, err := u.place.store.ListObjectParts(u.ctx, u.place.Bucket, u.place.Key, u.state.Upload, len(all), 1000)
		if err != nil {
			return nil, fmt.Errorf("list parts: %w", err)
		}
		for _, part := range page.ObjectParts {
			if part.PartNumber != len(all)+1 {
				return nil, fmt.Errorf("%w: part %d is missing", ErrChanged, len(all)+1)
			}
			all = append(all, minio.CompletePart{PartNumber: part.PartNumber, ETag: part.ETag})
		}
		if len(page.ObjectParts) == 0 {
			return nil, fmt.Errorf("%w: part %d is missing", ErrChanged, len(all)+1)
		}
	}
	return all[:u.state.Part], nil
}

var _ io.WriteCloser = (*Upload)(nil)
