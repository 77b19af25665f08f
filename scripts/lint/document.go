package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
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
