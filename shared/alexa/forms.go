package alexa

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// A form returns why a text is refused, or causes a warning; empty if it is as it ought
// to be.

// instantForm returns why a time does not match Amazon's schema: UTC, at most three
// digits of fraction.
func instantForm(text string) string {
	if t, err := ParseTime(text); err != nil || t.Year() < 1000 {
		return notRFC3339
	}
	if text[len("2006-01-02")] != 'T' || text[len(text)-1] != 'Z' || len(text) > len(timeLayout) || leapSecond(text) {
		return "must be a time in UTC with at most three digits of fraction"
	}
	return ""
}

// secondsForm is instantForm for a time without a fraction.
func secondsForm(text string) string {
	problem := instantForm(text)
	if problem == "" && len(text) > len(secondsLayout) {
		return "must be a time in UTC without a fraction of a second"
	}
	return problem
}

// dateTimeForm is instantForm for a time of any zone and fraction.
func dateTimeForm(text string) string {
	if _, err := ParseTime(text); err != nil {
		return notRFC3339
	}
	return ""
}

// endpointIDForm returns which rule of Amazon's page an endpointId breaks: up to 256
// letters, digits, spaces and some marks. The page does not define letters. The gateway
// has refused a backslash: alexa-samples/alexa-smarthome#60.
func endpointIDForm(id string) string {
	if utf8.RuneCountInString(id) > 256 {
		return "longer than 256 characters"
	}
	if strings.ContainsFunc(id, func(c rune) bool { return c < utf8.RuneSelf && c != '.' && !onThePage(c) }) {
		return "has a character other than letters, digits, spaces and " + endpointIDMarks
	}
	return ""
}

// endpointIDOddity returns the warning for characters that Amazon's page does not list,
// and skills use.
func endpointIDOddity(id string) string {
	if i := strings.IndexFunc(id, func(c rune) bool { return !onThePage(c) }); i >= 0 {
		return "has a dot or a letter beyond a-z, which Amazon's page does not mention"
	}
	return ""
}

const endpointIDMarks = "_ - = # ; : ? @ &"

func onThePage(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune(endpointIDMarks, c)
}

// uriForm returns why the address of a stream or a picture causes a warning.
func uriForm(text string) string {
	if u, err := url.Parse(text); err != nil || !u.IsAbs() {
		return "must be an absolute URI"
	}
	return ""
}

// categoryForm returns why a display category causes a warning.
func categoryForm(text string) string {
	if strings.ContainsAny(text, " \t\r\n") {
		return "has a space"
	}
	return ""
}
