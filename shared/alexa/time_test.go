package alexa_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

func TestParseTime(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2026-01-02T03:04:05Z":                "2026-01-02T03:04:05.000Z",
		"2026-01-02T03:04:05.6789Z":           "2026-01-02T03:04:05.678Z",
		"2026-01-02T03:04:05.999999999+09:30": "2026-01-01T17:34:05.999Z",
		"2026-12-31T23:59:59.9-01:00":         "2027-01-01T00:59:59.900Z",
		"2026-01-02t03:04:05z":                "2026-01-02T03:04:05.000Z",
		"2026-01-02t05:04:05.5+02:00":         "2026-01-02T03:04:05.500Z",
		"2016-12-31T23:59:60Z":                "2017-01-01T00:00:00.000Z",
		"2016-12-31T23:59:60.5Z":              "2017-01-01T00:00:00.500Z",
		"2016-12-31T15:59:60-08:00":           "2017-01-01T00:00:00.000Z",
		"2016-12-31T23:58:60Z":                "", // no leap second is there
		"2017-01-01T00:29:60Z":                "",
		"2016-12-31T23:59:61Z":                "",
		"2016-12-31T23:59:60":                 "",
		"2016-12-31X23:59:05Z":                "",
		":60":                                 "",
	} {
		read, err := alexa.ParseTime(text)
		got := alexa.FormatTime(read.In(time.FixedZone("x", 3600)))
		if want == "" && err == nil || want != "" && (err != nil || got != want) {
			t.Errorf("%s is read as %s (error %v), want %q", text, got, err, want)
		}
	}
}

// FuzzParseTime: an instant that is read and written in Alexa's form is the
// same to the millisecond, and the form is Alexa's.
func FuzzParseTime(f *testing.F) {
	for _, seed := range times {
		f.Add(seed.(string))
	}
	f.Add("2026-01-02t03:04:05z")
	f.Add("2016-12-31T23:59:60.5Z")
	f.Fuzz(func(t *testing.T, text string) {
		read, err := alexa.ParseTime(text)
		if err != nil {
			if !read.IsZero() {
				t.Errorf("%v beside an error", read)
			}
			return
		}
		plain := []byte(strings.ToUpper(text)) // Go knows no small letters and no leap seconds
		if string(plain[len("2006-01-02T15:04:"):len("2006-01-02T15:04:05")]) == "60" {
			copy(plain[len("2006-01-02T15:04:"):], "59")
		}
		if err := new(time.Time).UnmarshalText(plain); err != nil {
			t.Errorf("took %q: %v", text, err)
		}
		if year := read.UTC().Year(); year < 0 || year > 9999 {
			return // FormatTime cannot write it; DecodeEvent refuses it
		}
		written, err := alexa.ParseTime(alexa.FormatTime(read))
		if err != nil || !written.Equal(read.Truncate(time.Millisecond)) {
			t.Errorf("%q became %v (%v)", text, written, err)
		}
	})
}
