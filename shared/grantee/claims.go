package grantee

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// MaxUserID is the length of the longest accepted customer id, in bytes.
const MaxUserID = 1024

// object is a JSON object. It is a map, because encoding/json matches "Active" to the
// member "active" of a struct.
type object map[string]json.RawMessage

// decode decodes a body that is exactly one JSON object.
func decode(body []byte) (object, bool) {
	var o object
	err := json.Unmarshal(body, &o)
	return o, err == nil && o != nil
}

// has reports whether a member is present and not null.
func (o object) has(name string) bool {
	raw, ok := o[name]
	return ok && string(raw) != "null"
}

// find returns the claim of that name. Only if there is none, it takes the name as a
// path: claims that are named like URLs have dots too.
func (o object) find(name string) (json.RawMessage, bool) {
	if raw, ok := o[name]; ok {
		return raw, true
	}
	first, rest, nested := strings.Cut(name, ".")
	inner, ok := decode(o[first])
	if !nested || !ok {
		return nil, false
	}
	return inner.find(rest)
}

// customer returns the claim that names the customer, or its fault, without quoting it.
func customer(claims object, name string) (id, fault string) {
	raw, ok := claims.find(name)
	if !ok {
		return "", fmt.Sprintf("there is no claim %q", name)
	}
	id, ok = text(raw)
	switch {
	case !ok:
		return "", fmt.Sprintf("claim %q is neither a string nor an integer", name)
	case id == "":
		return "", fmt.Sprintf("claim %q is empty", name)
	case len(id) > MaxUserID:
		return "", fmt.Sprintf("claim %q is longer than %d bytes", name, MaxUserID)
	// encoding/json decodes invalid Unicode as U+FFFD, which could merge two
	// customers into one.
	case strings.ContainsFunc(id, unicode.IsControl), strings.ContainsRune(id, utf8.RuneError):
		return "", fmt.Sprintf("claim %q has control characters or is not valid Unicode", name)
	}
	return id, ""
}

// text returns a JSON string, or the digits of a JSON integer as written: a float64
// would change ids above 2^53.
func text(raw json.RawMessage) (string, bool) {
	digits := strings.TrimPrefix(string(raw), "-")
	if digits != "" && strings.Trim(digits, "0123456789") == "" {
		return string(raw), true
	}
	// A pointer, since null would otherwise decode as the empty string.
	var s *string
	if err := json.Unmarshal(raw, &s); err != nil || s == nil {
		return "", false
	}
	return *s, true
}

// notBeforeLeeway is how far ahead of this clock a token's nbf may be: as far as other
// verifiers allow, including go-oidc's.
const notBeforeLeeway = 5 * time.Minute

// refusal returns why a token's times or audience refuse it, "" if they do not. An
// absent or unreadable time is no reason.
func (o object) refusal(now time.Time, audience string) string {
	seconds := float64(now.UnixNano()) / float64(time.Second)
	if expiry, ok := o.seconds("exp"); ok && expiry <= seconds {
		return "it has expired"
	}
	if start, ok := o.seconds("nbf"); ok && start > seconds+notBeforeLeeway.Seconds() {
		return "it is not valid yet"
	}
	switch {
	case audience == "" || slices.Contains(o.audiences(), audience):
		return ""
	case !o.has("aud"):
		return `it has no "aud", and an audience is configured`
	}
	return "it is not for the configured audience"
}

// seconds returns a time in seconds since 1970 (RFC 7519, section 2), with or without
// a fraction. It may be a string, which some introspection endpoints send.
func (o object) seconds(name string) (value float64, ok bool) {
	var number json.Number
	if json.Unmarshal(o[name], &number) != nil {
		return 0, false
	}
	value, err := number.Float64()
	return value, err == nil
}

// audiences returns the members of "aud", which is a string or an array of strings. A
// number counts as its digits, as in other claims.
func (o object) audiences() []string {
	if one, ok := text(o["aud"]); ok {
		return []string{one}
	}
	var raw []json.RawMessage
	if json.Unmarshal(o["aud"], &raw) != nil {
		return nil
	}
	list := make([]string, 0, len(raw))
	for _, member := range raw {
		if audience, ok := text(member); ok {
			list = append(list, audience)
		}
	}
	return list
}
