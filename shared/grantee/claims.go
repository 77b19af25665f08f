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

// MaxUserID is the length of the longest customer id that is taken, in bytes.
const MaxUserID = 1024

// object is a JSON object. A map and not a struct, because encoding/json
// would let "Active" stand for "active" in a struct.
type object map[string]json.RawMessage

// decode reads one JSON object and nothing behind it.
func decode(body []byte) (object, bool) {
	var o object
	err := json.Unmarshal(body, &o)
	return o, err == nil && o != nil
}

// has reports whether a member is there and not null.
func (o object) has(name string) bool {
	raw, ok := o[name]
	return ok && string(raw) != "null"
}

// find looks a claim up by its literal name, and only if there is none by the
// name as a path: claims named like URLs have dots too.
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

// customer returns the claim that names the customer, or what is wrong with
// it, in words that do not quote it.
func customer(claims object, name string) (id, fault string) {
	raw, ok := claims.find(name)
	if !ok {
		return "", fmt.Sprintf("there is no claim %q", name)
	}
	id, ok = text(raw)
	switch {
	case !ok:
		return "", fmt.Sprintf("claim %q is neither a text nor an integer", name)
	case id == "":
		return "", fmt.Sprintf("claim %q is empty", name)
	case len(id) > MaxUserID:
		return "", fmt.Sprintf("claim %q is longer than %d bytes", name, MaxUserID)
	// encoding/json reads whatever is not Unicode as U+FFFD, by which two
	// customers could become one.
	case strings.ContainsFunc(id, unicode.IsControl), strings.ContainsRune(id, utf8.RuneError):
		return "", fmt.Sprintf("claim %q has control characters or is not valid Unicode", name)
	}
	return id, ""
}

// text returns a JSON string, or the digits of a JSON integer as they are
// written: a float64 would change ids above 2^53.
func text(raw json.RawMessage) (string, bool) {
	digits := strings.TrimPrefix(string(raw), "-")
	if digits != "" && strings.Trim(digits, "0123456789") == "" {
		return string(raw), true
	}
	// A pointer, since null would otherwise read as the empty text.
	var s *string
	if err := json.Unmarshal(raw, &s); err != nil || s == nil {
		return "", false
	}
	return *s, true
}

// notBeforeLeeway is how far a token's start may lie ahead of our clock: as far as
// other verifiers allow, go-oidc's among them.
const notBeforeLeeway = 5 * time.Minute

// refusal says which time, or the audience, a token is refused for, "" for none.
// A time that is absent or cannot be read refuses nothing.
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

// seconds reads a time in seconds since 1970 (RFC 7519, section 2), with a
// fraction or not, and also as text, as some introspection endpoints write it.
func (o object) seconds(name string) (value float64, ok bool) {
	var number json.Number
	if json.Unmarshal(o[name], &number) != nil {
		return 0, false
	}
	value, err := number.Float64()
	return value, err == nil
}

// audiences reads "aud", which is a text or a list of texts. A number counts as its
// digits, as in other claims.
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
