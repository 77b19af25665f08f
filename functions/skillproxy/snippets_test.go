package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
	"github.com/gatepostdev/gatepost/shared/testkit/world"
)

// snippet is one of the snippets for makers whose skill has a Lambda already. A
// program in testdata runs it and forwards messages, with stand-ins for Google's
// libraries that return numbered tokens when they are called correctly, or never
// return with NO_TOKEN.
type snippet struct {
	runtime, file, main string
	limit, short        string // its timeout as the source has it, and in tests of the timeout
}

var snippets = []snippet{{"node", "forward.mjs", "main.mjs", "6500", "500"}, {"python3", "forward.py", "main.py", "6.5", "0.5"}}

// shortLimit is the timeout of a snippet in tests of the timeout.
const shortLimit = 500 * time.Millisecond

// forward runs a snippet on messages, with more environment variables; with any,
// its timeout is the short one. It returns the answers, and the time taken without
// the start of the interpreter.
func (s snippet) forward(t *testing.T, w *cloud, env []string, messages ...string) ([]json.RawMessage, time.Duration) {
	t.Helper()
	runtime, err := exec.LookPath(s.runtime)
	if err != nil {
		t.Skipf("%s is not installed: its snippet was not run", s.runtime)
	}
	dir := t.TempDir()
	source, err := os.ReadFile(filepath.Join("snippets", s.file))
	if err := errors.Join(err, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", s.runtime)))); err != nil {
		t.Fatal(err)
	}
	if len(env) > 0 {
		source = bytes.ReplaceAll(source, []byte(s.limit), []byte(s.short))
	}
	if err := os.WriteFile(filepath.Join(dir, s.file), source, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(testkit.Within(t, patience), runtime, filepath.Join(dir, s.main))
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), env...), "AWS_REGION=us-west-2", "GOOGLE_SERVICE_ACCOUNT=skill@maker.example",
		"GOOGLE_APPLICATION_CREDENTIALS=google.json", "ACCEPT_GRANT_URL="+w.url+"/acceptgrant",
		"SKILL_EVENT_URL="+w.url+"/skillevent", "EVENTS=["+strings.Join(messages, ",")+"]", "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1")
	var logs strings.Builder
	cmd.Stderr = &logs
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s%s", err, output, logs.String())
	}
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	world.Show(t.Name(), logs.String()+strings.Join(lines[:len(lines)-1], "\n"))
	var written struct {
		Answers []json.RawMessage
		Took    float64 // seconds
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &written); err != nil || len(written.Answers) != len(messages) {
		t.Fatalf("%v: %s", err, output)
	}
	return written.Answers, time.Duration(written.Took * float64(time.Second))
}

// same compares JSON without random ids.
func same(t *testing.T, got json.RawMessage, want string) bool {
	t.Helper()
	var g, w any
	got = anyID.ReplaceAll(got, []byte(`"messageId":"ID"`))
	if err := json.Unmarshal(got, &g); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(g) == fmt.Sprint(w)
}

func TestSnippets(t *testing.T) {
	t.Parallel()
	for _, s := range snippets {
		source, err := os.ReadFile(filepath.Join("snippets", s.file))
		if lines := strings.Count(string(source), "\n"); err != nil || lines >= 40 || strings.Count(string(source), s.limit) < 2 {
			t.Errorf("%s has %d lines (%v), want fewer than 40, with timeouts of %s", s.file, lines, err, s.limit)
		}
		t.Run(s.runtime, func(t *testing.T) {
			t.Parallel()
			w := newCloud(t)
			tokens := func(b *backend, numbers ...int) {
				var want []string
				for _, n := range numbers {
					want = append(want, fmt.Sprintf("Bearer fake-id-%d|skill@maker.example|%s", n, w.url))
				}
				expect.Equal(t, "tokens", want, b.tokens())
			}
			w.acceptGrant.then(answering(200, done), answering(401, ``))
			w.skillEvent.then(answering(200, `{"ok":true}`), answering(503, ``), answering(401, ``))
			answers, _ := s.forward(t, w, nil, accept, disabled, disabled, turnOn, `{"key1":"value1"}`, accept, accept, accept,
				disabled, disabled, disabled)
			for i, want := range []string{
				done, `{"ok":true}`, `"thrown"`, `null`, `null`, errorResponse(accept, ""), done, done, `"thrown"`, done, done,
			} {
				if !same(t, answers[i], want) {
					t.Errorf("answer %d = %s, want %s", i+1, answers[i], want)
				}
			}
			tokens(&w.acceptGrant, 1, 1, 3, 3)
			tokens(&w.skillEvent, 2, 2, 2, 4, 4)
			got := w.acceptGrant.got()[0]
			if !same(t, json.RawMessage(got.body), accept) || got.header.Get("X-Alexa-Region") != "FE" {
				t.Errorf("request to AcceptGrant = %q, want the message and region FE", got)
			}
			if n := len(w.directive.got()); n != 0 {
				t.Errorf("forwarded directives = %d, want 0", n)
			}
		})
		t.Run(s.runtime+"/no token in time", func(t *testing.T) {
			t.Parallel()
			answers, took := s.forward(t, newCloud(t), []string{"NO_TOKEN=1"}, disabled)
			if !same(t, answers[0], `"thrown"`) || took < shortLimit || took > 20*shortLimit {
				t.Errorf("answer = %s after %v, want an exception after %v", answers[0], took, shortLimit)
			}
		})
		t.Run(s.runtime+"/failures", func(t *testing.T) {
			t.Parallel()
			w := newCloud(t)
			w.acceptGrant.then(answering(401, `canary`), answering(200, `<html>canary`), answering(200, `{"error":"canary"}`),
				hijack("", true), hang)
			answers, took := s.forward(t, w, []string{"SHORT=1"}, accept, accept, accept, accept, accept)
			for i, answer := range answers {
				if !same(t, answer, errorResponse(accept, "")) {
					t.Errorf("answer %d = %s, want ACCEPT_GRANT_FAILED", i+1, answer)
				}
			}
			if took < shortLimit || took > 20*shortLimit {
				t.Errorf("all answers took %v, want about %v for the last", took, shortLimit)
			}
		})
	}
}
