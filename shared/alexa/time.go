package alexa

import (
	"strings"
	"time"
)

// timeLayout is the form Amazon's schema asks of timeOfSample: UTC, at most
// three digits of fraction, a literal Z. time.RFC3339Nano writes up to nine
// digits, and numeric zones, both of which the schema refuses.
const timeLayout = "2006-01-02T15:04:05.000Z"

// secondsLayout is the form of the time of a doorbell press, where the schema
// has no fraction.
const secondsLayout = "2006-01-02T15:04:05Z"

// instantForm says what is wrong with a time as Amazon's schema has it: UTC, at
// most three digits of fraction.
func instantForm(text string) string {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.Year() < 1000 {
		return "must be an RFC 3339 time"
	}
	fraction := strings.TrimSuffix(strings.TrimPrefix(text[len("2006-01-02T15:04:05"):], "."), "Z")
	if text[len(text)-1] != 'Z' || len(fraction) > 3 {
		return "must be a time in UTC with at most three digits of fraction"
	}
	return ""
}

// FormatTime writes t as Alexa wants it, for example
// "2026-01-02T03:04:05.678Z". What is finer than a millisecond is cut off, so
// that a time never moves forward.
func FormatTime(t time.Time) string { return t.UTC().Format(timeLayout) }

// AppendTime appends FormatTime(t) to dst.
func AppendTime(dst []byte, t time.Time) []byte { return t.UTC().AppendFormat(dst, timeLayout) }

// ParseTime reads any RFC 3339 time with any zone and fraction.
func ParseTime(s string) (time.Time, error) { return time.Parse(time.RFC3339Nano, s) }
