package alexa

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

// encoding/json cannot report the path of an unknown or repeated member, keep values
// byte for byte, or distinguish "Name" from "name", as Alexa does. The functions in this
// file split a document, which document() has validated, into its members without
// decoding or copying their values.

// document returns data without the space around it, if it is one JSON object in UTF-8.
func document(data []byte) ([]byte, error) {
	if !utf8.Valid(data) {
		return nil, wrong("", "not UTF-8")
	}
	if !json.Valid(data) {
		var syntax *json.SyntaxError
		if err := json.Unmarshal(data, new(any)); errors.As(err, &syntax) {
			return nil, wrong("", "not JSON (at byte %d)", syntax.Offset)
		}
		return nil, wrong("", "not JSON")
	}
	data = bytes.TrimSpace(data)
	if data[0] != '{' {
		return nil, wrong("", "must be a JSON object")
	}
	return data, nil
}

// member is a member of an object that pick looks for.
type member struct {
	name  string
	value *[]byte // receives the value; stays nil if the member is absent
}

// absent reports whether a member is missing or null: many JSON encoders write null for
// a missing value.
func absent(raw []byte) bool { return raw == nil || raw[0] == 'n' }

// missing returns the problem of a required member that is absent.
func missing(raw []byte) string {
	if raw != nil {
		return "null, which counts as missing"
	}
	return "missing"
}

// pick splits the object raw into the given members. Other members are an error if
// unknown is nil, and otherwise passed to it, with the name in quotes; a last member rest
// collects them instead. A given name that appears twice is an error: readers disagree
// on which of the two counts.
func pick(raw []byte, unknown func(quoted, value []byte), members ...member) error {
	if raw[0] != '{' {
		return wrong("", "%s", mustBe("object", typeOf(raw)))
	}
	var others *[]byte
	if last := len(members) - 1; last >= 0 && members[last].name == "" {
		others, members = members[last].value, members[:last]
	}
	for i := skipSpace(raw, 1); raw[i] != '}'; {
		quoted, value, next := cutMember(raw, i)
		i = next
		name, err := memberName(quoted)
		if err != nil {
			return err
		}
		found := find(members, name)
		switch {
		case found < 0 && others != nil:
			*others = append(append(append(append(*others, ','), quoted...), ':'), value...)
		case found < 0 && unknown == nil:
			return wrong(printable(name), "%s", unknownField(members, name))
		case found < 0:
			unknown(quoted, value)
		case *members[found].value != nil:
			return wrong(string(name), "appears twice")
		default:
			*members[found].value = value
		}
	}
	return nil
}

// ignore has pick skip unknown members of Amazon's messages.
func ignore(_, _ []byte) {}

// rest has pick collect the other members, as `,"name":value`.
func rest(into *[]byte) member { return member{"", into} }

// objectOfRest returns an object of the members that rest has collected.
func objectOfRest(rest []byte) []byte {
	return append(append([]byte{'{'}, bytes.TrimPrefix(rest, []byte{','})...), '}')
}

func unknownField(members []member, name []byte) string {
	names := make([]string, 0, len(members))
	for _, m := range members {
		if m.name != "messageId" && m.name != "scope" { // Gatepost sets these
			names = append(names, strings.Clone(m.name)) // without Clone pick's values would move to the heap
		}
	}
	return "unknown field, " + oneOfThese(names) + didYouMean(string(name), names)
}

// memberName returns the name between the quotes. It copies the name only if it has an
// escape, so that most names need no allocation.
func memberName(quoted []byte) ([]byte, error) {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1], nil
	}
	name, err := text(quoted)
	return []byte(name), err
}

// find returns the index of a name, -1 if there is none. A pointer would move every
// caller's values to the heap.
func find(members []member, name []byte) int {
	for i := range members {
		if members[i].name == string(name) {
			return i
		}
	}
	return -1
}

// cutMember returns the quoted name and the value of the member at i, and the index of
// the next.
func cutMember(raw []byte, i int) (quoted, value []byte, next int) {
	end := skipString(raw, i)
	quoted = raw[i:end]
	start := skipSpace(raw, skipSpace(raw, end)+1) // over the colon
	end = skipValue(raw, start)
	return quoted, raw[start:end], skipComma(raw, end)
}

// each ranges over the elements of the array raw.
func each(raw []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		n := 0
		for i := skipSpace(raw, 1); raw[i] != ']'; n++ {
			end := skipValue(raw, i)
			if !yield(n, raw[i:end]) {
				return
			}
			i = skipComma(raw, end)
		}
	}
}

// text decodes a JSON string.
func text(raw []byte) (string, error) {
	if raw[0] != '"' {
		return "", wrong("", "must be a string")
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return shared(raw[1 : len(raw)-1]), nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", wrong("", "must be a string")
	}
	return s, nil
}

// isText reports whether raw is the JSON string w, which needs no escapes.
func isText(raw []byte, w string) bool {
	if bytes.IndexByte(raw, '\\') >= 0 {
		t, err := text(raw)
		return err == nil && t == w
	}
	return len(raw) == len(w)+2 && string(raw[1:len(raw)-1]) == w
}

// numberIn returns the number in a value, which may be a string; nil if it has none.
func numberIn(raw []byte) (number []byte, asText bool) {
	if raw[0] == '"' {
		t, _ := text(raw)
		raw, asText = []byte(t), true
	}
	if len(raw) == 0 || raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') || raw[len(raw)-1] <= ' ' || asText && !json.Valid(raw) {
		return nil, false
	}
	return raw, asText
}

// required decodes a string that must be present and not empty.
func required(name string, raw []byte) (string, error) {
	if absent(raw) {
		return "", wrong(name, "%s", missing(raw))
	}
	s, err := text(raw)
	if err != nil {
		return "", in(name, err)
	}
	if s == "" {
		return "", wrong(name, "empty")
	}
	return s, nil
}

// optional decodes a string that must not be empty if it is present.
func optional(name string, raw []byte) (string, error) {
	if absent(raw) {
		return "", nil
	}
	return required(name, raw)
}

// printable returns a publisher's field name, shortened and without unprintable
// characters, for an error message.
func printable(name []byte) string {
	const most = 64
	end := ""
	if len(name) > most {
		name, end = name[:most], "…"
	}
	clean := bytes.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, bytes.ToValidUTF8(name, []byte("?")))
	return string(clean) + end
}

func typeOf(raw []byte) string {
	switch raw[0] {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	if bytes.ContainsAny(raw, ".eE") {
		return "number"
	}
	return "integer"
}

func mustBe(want, got string) string {
	problem := "must be a " + want
	if strings.ContainsRune("aio", rune(want[0])) {
		problem = "must be an " + want
	}
	if got == "null" {
		return "null, " + problem
	}
	return problem
}

func skipSpace(raw []byte, i int) int {
	for raw[i] == ' ' || raw[i] == '\t' || raw[i] == '\n' || raw[i] == '\r' {
		i++
	}
	return i
}

// skipComma returns the index of the value after the one that ends at i, or of the
// closing bracket.
func skipComma(raw []byte, i int) int {
	i = skipSpace(raw, i)
	if raw[i] == ',' {
		i = skipSpace(raw, i+1)
	}
	return i
}

// skipString returns the index after the string at i.
func skipString(raw []byte, i int) int {
	for i++; raw[i] != '"'; i++ {
		if raw[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// skipValue returns the index after the value at i.
func skipValue(raw []byte, i int) int {
	depth := 0
	for ; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			i = skipString(raw, i) - 1
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		case ',', ':', ' ', '\t', '\n', '\r':
			continue
		default: // a number, true, false or null
			for i+1 < len(raw) && !endsScalar(raw[i+1]) {
				i++
			}
		}
		if depth == 0 {
			return i + 1
		}
	}
	return i
}

func endsScalar(c byte) bool {
	switch c {
	case ',', ':', '}', ']', ' ', '\t', '\n', '\r':
		return true
	}
	return false
}
