package alexa

import (
	"errors"
	"strings"
	"time"
)

// timeLayout is the schema's form of timeOfSample: UTC, at most three digits of
// fraction, a literal Z. The schema refuses time.RFC3339Nano, which has up to nine
// digits, and numeric zones.
const timeLayout = "2006-01-02T15:04:05.000Z"

// secondsLayout is the schema's form of the time of a doorbell press, without a
// fraction.
const secondsLayout = "2006-01-02T15:04:05Z"

const notRFC3339 = "must be an RFC 3339 time"

// FormatTime returns t in Alexa's form, for example "2026-01-02T03:04:05.678Z". It
// truncates to milliseconds, so that a time never moves forward.
func FormatTime(t time.Time) string { return t.UTC().Format(timeLayout) }

// ParseTime parses an RFC 3339 time with any zone and fraction. A leap second, which
// Go's times do not have, becomes the second after it.
func ParseTime(s string) (time.Time, error) {
	s = strings.ToUpper(s) // t and z may be lower case
	if !leapSecond(s) {
		return parseTime(s)
	}
	const seconds = len("2006-01-02T15:04:")
	t, err := parseTime(s[:seconds] + "59" + s[seconds+2:])
	if err != nil {
		return time.Time{}, err
	}
	// Leap seconds are at the end of a day in UTC only.
	if t = t.Add(time.Second); t.UTC().Hour() != 0 || t.UTC().Minute() != 0 {
		return time.Time{}, errors.New("not a leap second")
	}
	return t, nil
}

// leapSecond reports whether the second of a time is 60.
func leapSecond(s string) bool {
	const seconds = len("2006-01-02T15:04:")
	return len(s) > seconds+2 && s[seconds:seconds+2] == "60"
}

func parseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err == nil && !strictRFC3339(s) {
		return time.Time{}, errors.New("not an RFC 3339 time")
	}
	return t, err
}

// strictRFC3339 reports whether a time has none of the deviations that time.Parse
// accepts: an hour of one digit, a comma, zones of a day and more.
func strictRFC3339(s string) bool {
	if s[len("2006-01-02T15")] != ':' || s[len("2006-01-02T15:04:05")] == ',' {
		return false
	}
	zone := s[len(s)-len("07:00"):]
	return s[len(s)-1] == 'Z' || zone[:2] < "24" && zone[3:] < "60"
}

func decodeTime(name string, raw []byte) (time.Time, error) {
	s, err := required(name, raw)
	if err != nil {
		return time.Time{}, err
	}
	t, err := ParseTime(s)
	if err != nil {
		return time.Time{}, wrong(name, notRFC3339)
	}
	if year := t.UTC().Year(); year < 1000 || year > 9999 {
		return time.Time{}, breaks(ruleReporting, name, "must be a time of the years 1000 to 9999")
	}
	return t, nil
}
