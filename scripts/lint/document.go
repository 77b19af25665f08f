package main

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
	prefix string // what paths begin with, "[3]" of an array's fourth
}

// documents splits a file: documents one after the other, each an event or an
// array of them. It ends before what is no JSON, and says what that is.
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

// byteOrderMark is what some editors begin a file with, and JSON has no place for.
var byteOrderMark = []byte("\ufeff")

// withoutMark has space in place of a byte order mark, so that what follows
// stays where it is.
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

// notJSON says where text stops being JSON. encoding/json counts bytes from the
// beginning of the file; where the end comes too early, it counts none.
func notJSON(err error, text []byte) *finding {
	f := &finding{at: len(bytes.TrimRight(text, " \t\r\n")), syntax: true, Problem: "not JSON: it ends too early"}
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		f.at, f.Problem = int(syntax.Offset)-1, "not JSON: "+syntax.Error()
	}
	return f
}

// invalidUTF8 is the offset of the first byte that is no part of UTF-8, -1 if
// all are.
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

// value is a JSON value and where it stands. Neither json.Decoder nor
// json.Unmarshal tells the place of a value inside a document.
type value struct {
	at      int            // offset of its first byte in the file
	raw     []byte         // its text
	members []member       // of an object, in their order
	named   map[string]int // where the last of a name is, if there are many members
	items   []value        // of an array
}

type member struct {
	quoted []byte // the name as it is written
	name   string
	value
}

// reader takes valid JSON apart.
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

// manyMembers is how many are no longer looked through one by one.
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

// unquote reads a JSON string, and reports whether it is one.
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

// there reports whether v is a value at all, and not one that was looked for in
// vain, or null, which counts as that.
func (v value) there() bool { return v.raw != nil && v.raw[0] != 'n' }

func (v value) isObject() bool { return v.there() && v.raw[0] == '{' }

func (v value) isArray() bool { return v.there() && v.raw[0] == '[' }

func (v value) isNumber() bool {
	return v.there() && (v.raw[0] == '-' || '0' <= v.raw[0] && v.raw[0] <= '9')
}

// text returns the string that v is, empty if it is none.
func (v value) text() string {
	if !v.there() {
		return ""
	}
	text, _ := unquote(v.raw)
	return text
}

// member returns the member by a name, of several the last, as most readers of
// JSON do.
func (v value) member(name string) value {
	if i := v.last(name); i >= 0 {
		return v.members[i].value
	}
	return value{}
}

// last returns where the last member by a name is, -1 if there is none.
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

// child finds the member or item that path, as alexa.FieldError has it, leads
// through: its index, -1 if there is none, and the rest of the path. Names may
// hold dots themselves, so the longest counts.
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

// find returns what path leads to, or the last value on its way: of a member
// that is missing the object that lacks it.
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

// without writes v less the member that path leads to, and reports whether
// there is one.
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

// replaced writes v with the child at index less what path leads to from there;
// without the child itself if path is empty.
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
