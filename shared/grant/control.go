package grant

import (
	"fmt"
	"time"
)

// Control is one of the few documents that the processes of a stack share. Its
// fields are strings, int64, bools and times, without further levels.
type Control struct {
	Name     string         // document id
	Document map[string]any // as the Document method of its type makes it
	Revision Revision       // set by the store, zero for one that is not stored
}

// BrakeName is the name of the [Brake].
const BrakeName = "brake"

// SweepMark is how far the sweeps of some buckets have come, so that the next
// one need not skip the index entries that they have left behind. See
// https://cloud.google.com/firestore/docs/best-practices, "Avoid skipping over
// deleted data".
type SweepMark struct {
	From   time.Time // nothing that a sweep could do was due before
	FullAt time.Time // when a sweep last looked at everything, however long it was due
}

// SweepMarkName is the name of the mark of the buckets from first to last.
func SweepMarkName(first, last int) string { return fmt.Sprintf("sweep-%03d-%03d", first, last) }

// Document returns the mark as the document of a [Control].
func (m SweepMark) Document() map[string]any { return encode(sweepMarkFields, &m) }

// ParseSweepMark is the inverse of [SweepMark.Document], on the terms of
// [ParseRecord].
func ParseSweepMark(doc map[string]any) (SweepMark, error) {
	var m SweepMark
	if err := decode("", sweepMarkFields, doc, &m); err != nil {
		return SweepMark{}, err
	}
	return m, nil
}

var sweepMarkFields = []field[SweepMark]{
	moment(func(m *SweepMark) *time.Time { return &m.From }, "from"),
	moment(func(m *SweepMark) *time.Time { return &m.FullAt }, "fullAt"),
}
