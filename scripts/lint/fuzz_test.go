package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// FuzzJudge judges any file: lines lie in it and go up, what is not JSON is an
// error, and a single event fails exactly if SendEvent would refuse it.
func FuzzJudge(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*.json")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range seeds {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, text := range []string{sound, doorbell, discovery(endpoint("lamp-1", power, mode, bell)), `[{},5]{"":{"":[""]},".":1,"[":2}`, "{",
		"[[[", "\xff", "\ufeff" + sound, `{"userId":"\ud800"}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		known := make(declarations)
		known.add((&reader{text: []byte(discovery(endpoint("lamp-1", power)))}).value())
		list, broken := documents(text)
		for _, known := range []declarations{nil, known} {
			line, failed := 1, false
			for _, found := range judge("file", text, known) {
				if found.Line < line || found.Line > bytes.Count(text, []byte("\n"))+1 || found.Column < 1 || found.Column > len(text)+1 {
					t.Fatalf("%v, column %d, behind line %d", found, found.Column, line)
				}
				line, failed = found.Line, failed || found.Severity == failure
			}
			if broken != nil && !failed {
				t.Fatal("broken, and nothing is said of it")
			}
			if known != nil || broken != nil || len(list) != 1 || list[0].prefix != "" {
				continue
			}
			_, _, err := alexa.DecodeEvent(bytes.TrimPrefix(text, byteOrderMark), published, alexa.CheckStrict)
			header := list[0].member("event").member("header")
			if header.member("namespace").text() != "Alexa.Discovery" && failed != (err != nil) {
				t.Fatalf("failed is %v, but DecodeEvent answers %v", failed, err)
			}
		}
	})
}

// FuzzReader takes valid JSON apart: every value's text is where it says, and
// is that of a JSON value.
func FuzzReader(f *testing.F) {
	f.Add([]byte(sound))
	f.Add([]byte(` {"a" : [ 1 , {} , "x\"]" ] , "b":{ } ,"a":-1e5}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if !json.Valid(text) {
			return
		}
		var check func(v value)
		check = func(v value) {
			if !json.Valid(v.raw) || !bytes.HasPrefix(text[v.at:], v.raw) {
				t.Fatalf("%q at %d", v.raw, v.at)
			}
			for _, m := range v.members {
				check(m.value)
				if part, ok := v.without(m.name); ok && !json.Valid(part) {
					t.Fatalf("without %q: %q", m.name, part)
				}
			}
			for _, item := range v.items {
				check(item)
			}
		}
		check((&reader{text: text}).value())
	})
}
