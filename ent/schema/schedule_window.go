package schema

// HolidayRule says what a window does when its occurrence starts on a holiday.
type HolidayRule string

// The values of HolidayRule. None is SKIP.
const (
	HolidaySkip HolidayRule = "SKIP" // it does not open
	HolidayKeep HolidayRule = "KEEP" // it opens as on any day
	HolidayOnly HolidayRule = "ONLY" // it opens on holidays and on no other day
)

// Values lists them for Ent.
func (HolidayRule) Values() []string {
	return []string{string(HolidaySkip), string(HolidayKeep), string(HolidayOnly)}
}

// Window is a span of wall-clock time that may recur. It is kept in jsonb, and what it means is in
// package access/schedule. Times are local, without a zone: 2006-01-02T15:04:05.
type Window struct {
	Start    string      `json:"start"`            // of the first occurrence
	End      string      `json:"end"`              // of the first occurrence, exclusive; at most 7 days later
	Rule     string      `json:"rule,omitempty"`   // value of an RRULE; none: it happens once
	Except   []string    `json:"except,omitempty"` // starts that do not happen, as EXDATE
	Extra    []string    `json:"extra,omitempty"`  // starts besides the rule's, as RDATE
	Holidays HolidayRule `json:"holidays,omitempty"`
	Summary  string      `json:"summary,omitempty"`
}

// Holiday is a day or a run of days. Dates are local: 2006-01-02.
type Holiday struct {
	Name   string `json:"name"`
	First  string `json:"first"`
	Last   string `json:"last,omitempty"`   // inclusive; none: First alone
	Yearly bool   `json:"yearly,omitempty"` // the same months and days of every year
}
