package access

import "time"

// distinct returns identifiers in their order, each once, and complains of too few and too many.
func distinct[K interface {
	comparable
	UUID() [16]byte
}](field string, given []K) (ids []K, f faults) {
	ids = unique(given)
	if len(ids) == 0 || len(ids) > maxMembers {
		f.add(field, "must be from 1 to %d", maxMembers)
	}
	return ids, f
}

// window checks that a time that is given ends after it begins.
func (f *faults) window(from, until *time.Time) {
	if from != nil && until != nil && !from.Before(*until) {
		f.add("validUntil", "must be after validFrom")
	}
}

// sameInstant compares what the database keeps: it rounds to microseconds.
func sameInstant(a, b *time.Time) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Round(time.Microsecond).Equal(b.Round(time.Microsecond))
}
