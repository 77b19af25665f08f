package alexa

import (
	"errors"
	"net/url"
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
	if t, err := ParseTime(text); err != nil || t.Year() < 1000 {
		return notRFC3339
	}
	if text[len("2006-01-02")] != 'T' || text[len(text)-1] != 'Z' || len(text) > len(timeLayout) || leapSecond(text) {
		return "must be a time in UTC with at most three digits of fraction"
	}
	return ""
}

// secondsForm is instantForm where the schema has no fraction.
func secondsForm(text string) string {
	problem := instantForm(text)
	if problem == "" && len(text) > len(secondsLayout) {
		return "must be a time in UTC without a fraction of a second"
	}
	return problem
}

// dateTimeForm is for times of any zone and fraction.
func dateTimeForm(text string) string {
	if _, err := ParseTime(text); err != nil {
		return notRFC3339
	}
	return ""
}

const notRFC3339 = "must be an RFC 3339 time"

// FormatTime writes t as Alexa wants it, for example
// "2026-01-02T03:04:05.678Z". What is finer than a millisecond is cut off, so
// that a time never moves forward.
func FormatTime(t time.Time) string { return t.UTC().Format(timeLayout) }

// AppendTime appends FormatTime(t) to dst.
func AppendTime(dst []byte, t time.Time) []byte { return t.UTC().AppendFormat(dst, timeLayout) }

// ParseTime reads any RFC 3339 time with any zone and fraction. A leap second,
// which Go's times do not have, is the second after it.
func ParseTime(s string) (time.Time, error) {
	s = strings.ToUpper(s) // t and z may be small
	if !leapSecond(s) {
		return parseTime(s)
	}
	const seconds = len("2006-01-02T15:04:")
	t, err := parseTime(s[:seconds] + "59" + s[seconds+2:])
	if err != nil {
		return time.Time{}, err
	}
	// There is one at the end of a day in UTC only.
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

// strictRFC3339 finds what time.Parse lets pass: an hour of one digit, a comma,
// zones of a day and more.
func strictRFC3339(s string) bool {
	if s[len("2006-01-02T15")] != ':' || s[len("2006-01-02T15:04:05")] == ',' {
		return false
	}
	zone := s[len(s)-len("07:00"):]
	return s[len(s)-1] == 'Z' || zone[:2] < "24" && zone[3:] < "60"
}

// uriForm says what is wrong with the address of a stream or a picture.
func uriForm(text string) string {
	if u, err := url.Parse(text); err != nil || !u.IsAbs() {
		return "must be an absolute URI"
	}
	return ""
}
