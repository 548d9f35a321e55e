package graph

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"

	"github.com/google/uuid"

	"github.com/cardea/cardea/typeid"
)

// A cursor is a version, the code of its list, the values of the order's columns, and a checksum
// over all of it and the organization. So it is good for one list of one organization, and what was
// cut or altered by accident is refused. It holds nothing that its holder has not been shown.

const (
	cursorVersion = 1
	checksumSize  = 8
)

var errCursor = errors.New("not a cursor of this list")

// encodeCursor packs values, each a string, a uuid.UUID or an int64.
func encodeCursor(org typeid.Organization, list byte, values ...any) string {
	b := []byte{cursorVersion, list}
	for _, value := range values {
		switch v := value.(type) {
		case string:
			b = append(binary.AppendUvarint(append(b, 's'), uint64(len(v))), v...)
		case uuid.UUID:
			b = append(append(b, 'i'), v[:]...)
		case int64:
			b = binary.AppendVarint(append(b, 'n'), v)
		}
	}
	return base64.RawURLEncoding.EncodeToString(append(b, checksum(org, b)...))
}

// decodeCursor returns the values that encodeCursor packed for the same organization and list.
func decodeCursor(org typeid.Organization, list byte, cursor string) ([]any, error) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) < 2+checksumSize {
		return nil, errCursor
	}
	b, sum := b[:len(b)-checksumSize], b[len(b)-checksumSize:]
	if string(sum) != string(checksum(org, b)) || b[0] != cursorVersion || b[1] != list {
		return nil, errCursor
	}
	var values []any
	for b = b[2:]; len(b) > 0; {
		value, rest, ok := unpack(b[0], b[1:])
		if !ok {
			return nil, errCursor
		}
		values, b = append(values, value), rest
	}
	return values, nil
}

func unpack(kind byte, b []byte) (value any, rest []byte, ok bool) {
	switch kind {
	case 's':
		length, n := binary.Uvarint(b)
		if n <= 0 || length > maxBody || int(length) > len(b)-n {
			return nil, nil, false
		}
		end := n + int(length)
		return string(b[n:end]), b[end:], true
	case 'i':
		if len(b) < len(uuid.UUID{}) {
			return nil, nil, false
		}
		return uuid.UUID(b[:16]), b[16:], true
	case 'n':
		v, n := binary.Varint(b)
		return v, b[max(n, 0):], n > 0
	}
	return nil, nil, false
}

func checksum(org typeid.Organization, b []byte) []byte {
	id := org.UUID()
	sum := sha256.Sum256(append(id[:], b...))
	return sum[:checksumSize]
}
