package lint

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// document is one event or discovery in a file.
type document struct {
	value
	prefix string // of paths: "[3]" for the fourth item of an array
}

// documents splits a file into documents: consecutive JSON values, each an event or an
// array of events. It stops at the first syntax error, and returns it.
func documents(text []byte) ([]document, *finding) {
	var list []document
	text = withoutMark(text)
	if i := invalidUTF8(text); i >= 0 {
		return nil, &finding{at: i, syntax: true, Problem: "not UTF-8"}
	}
	for decoder := json.NewDecoder(bytes.NewReader(text)); ; {
		var raw json.RawMessage
		err := decoder.Decode(&raw)
		end := int(decoder.InputOffset())
		if err != nil {
			if skipSpace(text, end) == len(text) {
				return list, nil
			}
			return list, notJSON(err, text)
		}
		read := reader{text: text[:end], i: end - len(raw)}
		list = append(list, split(read.value())...)
	}
}

// byteOrderMark is a prefix that some editors write and JSON does not allow.
var byteOrderMark = []byte("\ufeff")

// withoutMark replaces a byte order mark with space, so that offsets stay the same.
func withoutMark(text []byte) []byte {
	rest, ok := bytes.CutPrefix(text, byteOrderMark)
	if !ok {
		return text
	}
	return slices.Concat([]byte("   "), rest)
}

func split(v value) []document {
	if !v.isArray() {
		return []document{{value: v}}
	}
	list := make([]document, len(v.items))
	for i, item := range v.items {
		list[i] = document{item, "[" + strconv.Itoa(i) + "]"}
	}
	return list
}

// notJSON returns the finding for a syntax error. encoding/json has the offset in the
// file, except if the text ends too early.
func notJSON(err error, text []byte) *finding {
	f := &finding{at: len(bytes.TrimRight(text, " \t\r\n")), syntax: true, Problem: "not JSON: it ends too early"}
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		f.at, f.Problem = int(syntax.Offset)-1, "not JSON: "+syntax.Error()
	}
	return f
}

// invalidUTF8 returns the offset of the first byte that is not valid UTF-8, or -1.
func invalidUTF8(text []byte) int {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// value is a JSON value and its place. Neither json.Decoder nor json.Unmarshal tells the
// place of a value inside a document.
type value struct {
	at      int            // offset of its first byte in the file
	raw     []byte         // its text
	members []member       // of an object, in their order
	named   map[string]int // index of the last member of a name, if there are many members
	items   []value        // of an array
}

type member struct {
	quoted []byte // the name as it is written
	name   string
	value
}

// reader parses valid JSON.
type reader struct {
	text []byte
	i    int // where the next value begins, or the space before it
}

func (r *reader) value() value {
	r.i = skipSpace(r.text, r.i)
	v := value{at: r.i}
	switch r.text[r.i] {
	case '{':
		for r.i++; r.more('}'); {
			v.members = append(v.members, r.member())
		}
		v.index()
	case '[':
		for r.i++; r.more(']'); {
			v.items = append(v.items, r.value())
		}
	case '"':
		r.string()
	default: // a number, true, false or null
		for r.i < len(r.text) && !strings.ContainsRune(",:]} \t\r\n", rune(r.text[r.i])) {
			r.i++
		}
	}
	v.raw = r.text[v.at:r.i]
	return v
}

// manyMembers is the number of members up to which a linear search is used.
const manyMembers = 16

func (v *value) index() {
	if len(v.members) <= manyMembers {
		return
	}
	v.named = make(map[string]int, len(v.members))
	for i, m := range v.members {
		v.named[m.name] = i
	}
}

// more moves to the next member or item, or behind the closing bracket if there
// is none.
func (r *reader) more(closing byte) bool {
	r.i = skipSpace(r.text, r.i)
	if r.text[r.i] == ',' {
		r.i = skipSpace(r.text, r.i+1)
	}
	if r.text[r.i] == closing {
		r.i++
		return false
	}
	return true
}

func (r *reader) member() member {
	start := r.i
	r.string()
	m := member{quoted: r.text[start:r.i]}
	m.name, _ = unquote(m.quoted)    // it is valid
	r.i = skipSpace(r.text, r.i) + 1 // over the colon
	m.value = r.value()
	return m
}

func (r *reader) string() {
	for r.i++; r.text[r.i] != '"'; r.i++ {
		if r.text[r.i] == '\\' {
			r.i++
		}
	}
	r.i++
}

func skipSpace(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\t' || text[i] == '\r' || text[i] == '\n') {
		i++
	}
	return i
}

// unquote decodes a JSON string, and reports whether raw is one.
func unquote(raw []byte) (string, bool) {
	if raw[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), true
	}
	var text string
	err := json.Unmarshal(raw, &text)
	return text, err == nil
}

// there reports whether v exists and is not null.
func (v value) there() bool { return v.raw != nil && v.raw[0] != 'n' }

func (v value) isObject() bool { return v.there() && v.raw[0] == '{' }

func (v value) isArray() bool { return v.there() && v.raw[0] == '[' }

func (v value) isNumber() bool {
	return v.there() && (v.raw[0] == '-' || '0' <= v.raw[0] && v.raw[0] <= '9')
}

// text returns the string of v, or "" if v is not a string.
func (v value) text() string {
	if !v.there() {
		return ""
	}
	text, _ := unquote(v.raw)
	return text
}

// member returns the last member with a name, as most JSON parsers do.
func (v value) member(name string) value {
	if i := v.last(name); i >= 0 {
		return v.members[i].value
	}
	return value{}
}

// last returns the index of the last member with a name, or -1.
func (v value) last(name string) int {
	if v.named != nil {
		if i, ok := v.named[name]; ok {
			return i
		}
		return -1
	}
	for i := len(v.members) - 1; i >= 0; i-- {
		if v.members[i].name == name {
			return i
		}
	}
	return -1
}

// child returns the index of the member or item at the beginning of a path of
// alexa.FieldError, or -1, and the rest of the path. Names may contain dots, so the
// longest match wins.
func (v value) child(path string) (index int, rest string) {
	index = -1
	if inner, ok := strings.CutPrefix(path, "["); ok && v.isArray() {
		number, after, _ := strings.Cut(inner, "]")
		if n, err := strconv.Atoi(number); err == nil && n >= 0 && n < len(v.items) {
			index, rest = n, after
		}
	} else {
		for end := len(path); end >= 0 && index < 0; end-- {
			if end == len(path) || path[end] == '.' || path[end] == '[' {
				index, rest = v.last(path[:end]), path[end:]
			}
		}
	}
	return index, strings.TrimPrefix(rest, ".")
}

// find returns the value at path, or the last value on its way: for a missing member,
// the object that lacks it.
func (v value) find(path string) value {
	for path != "" {
		index, rest := v.child(path)
		if index < 0 {
			return v
		}
		if v.isArray() {
			v = v.items[index]
		} else {
			v = v.members[index].value
		}
		path = rest
	}
	return v
}

// without returns the text of v without the member at path, and reports whether there
// is such a member.
func (v value) without(path string) ([]byte, bool) {
	index, rest := v.child(path)
	if index < 0 || path == "" || v.isArray() && rest == "" {
		return nil, false
	}
	if v.isArray() {
		return v.replaced(index, rest, v.items[index])
	}
	return v.replaced(index, rest, v.members[index].value)
}

// replaced returns the text of v with the child at index replaced by the child without
// the member at path. If path is empty it removes the child.
func (v value) replaced(index int, path string, child value) ([]byte, bool) {
	var part []byte
	if path != "" {
		var ok bool
		if part, ok = child.without(path); !ok {
			return nil, false
		}
	}
	var text []byte
	add := func(i int, quoted, raw []byte) {
		if i == index {
			raw = part
		}
		if raw == nil {
			return
		}
		if text != nil {
			text = append(text, ',')
		}
		if quoted != nil {
			text = append(append(text, quoted...), ':')
		}
		text = append(text, raw...)
	}
	for i, m := range v.members {
		add(i, m.quoted, m.raw)
	}
	for i, item := range v.items {
		add(i, nil, item.raw)
	}
	return append(append([]byte{v.raw[0]}, text...), v.raw[len(v.raw)-1]), true
}
