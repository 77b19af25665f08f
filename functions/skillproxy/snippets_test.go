package main

import (
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
	"github.com/gatepostdev/gatepost/shared/testkit/world"
)

// snippet is one of the snippets for makers whose skill has a Lambda already. It is
// run in a program of testdata that forwards what it reads. Google's libraries are
// not on this machine. In their place stand some there, which give numbered tokens
// when they are asked as the libraries want to be, or never, if NO_TOKEN is set.
type snippet struct{ runtime, file, main string }

var snippets = []snippet{{"node", "forward.mjs", "main.mjs"}, {"python3", "forward.py", "main.py"}}

// forward runs a snippet on messages, with env besides its own environment. It
// returns the answers, and how long they took without the interpreter's start.
func (s snippet) forward(t *testing.T, w *place, env string, messages ...string) ([]json.RawMessage, time.Duration) {
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
	if err := os.WriteFile(filepath.Join(dir, s.file), source, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(testkit.Within(t, patience), runtime, filepath.Join(dir, s.main))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "AWS_REGION=us-west-2", "GOOGLE_SERVICE_ACCOUNT=skill@maker.example",
		"GOOGLE_APPLICATION_CREDENTIALS=google.json", "ACCEPT_GRANT_URL="+w.acceptGrant.URL+"/AcceptGrant",
		"SKILL_EVENT_URL="+w.skillEvent.URL, "EVENTS=["+strings.Join(messages, ",")+"]", "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1", env)
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

// same compares JSON.
func same(t *testing.T, got json.RawMessage, want string) bool {
	t.Helper()
	var g, w any
	if err := json.Unmarshal(got, &g); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(g) == fmt.Sprint(w)
}

// twoHung is how long a snippet waits for two requests that hang, 6.5 s each.
const twoHung = 13 * time.Second

func TestSnippets(t *testing.T) {
	t.Parallel()
	for _, s := range snippets {
		source, err := os.ReadFile(filepath.Join("snippets", s.file))
		if lines := strings.Count(string(source), "\n"); err != nil || lines >= 40 {
			t.Errorf("%s has %d lines (%v), and should have fewer than 40", s.file, lines, err)
		}
		t.Run(s.runtime, func(t *testing.T) {
			t.Parallel()
			w := newPlace(t)
			w.skillEvent.then(answering(200, `{"ok":true}`))
			w.skillEvent.then(answering(503, ``))
			answers, _ := s.forward(t, w, "", accept, disabled, disabled, turnOn, `{"key1":"value1"}`)
			for i, want := range []string{done, `{"ok":true}`, `"thrown"`, `null`, `null`} {
				if !same(t, answers[i], want) {
					t.Errorf("answer %d: %s, want %s", i+1, answers[i], want)
				}
			}
			got := w.acceptGrant.got()
			if len(got) != 1 || !same(t, json.RawMessage(got[0].body), accept) || got[0].header.Get("X-Alexa-Region") != "FE" ||
				got[0].header.Get("Authorization") != "Bearer fake-id-1|skill@maker.example|"+w.acceptGrant.URL {
				t.Errorf("AcceptGrant got %q", got)
			}
			if n := len(w.directive.got()); n != 0 {
				t.Errorf("%d directives were forwarded", n)
			}
		})
		t.Run(s.runtime+"/no token in time", func(t *testing.T) {
			t.Parallel()
			w := newPlace(t)
			answers, took := s.forward(t, w, "NO_TOKEN=1", disabled)
			if !same(t, answers[0], `"thrown"`) {
				t.Errorf("answer %s", answers[0])
			}
			if took >= twoHung {
				t.Errorf("gave up after %v", took)
			}
		})
		t.Run(s.runtime+"/refused token", func(t *testing.T) {
			t.Parallel()
			for _, message := range []string{accept, disabled} {
				w := newPlace(t)
				to := w.to(message)
				to.then(answering(401, ``))
				answers, _ := s.forward(t, w, "", message, message, message)
				if !same(t, answers[1], done) || !same(t, answers[2], done) {
					t.Errorf("answers %s", answers)
				}
				got := to.got()
				if len(got) != 3 {
					t.Fatalf("%d requests, want 3", len(got))
				}
				if tokens := to.tokens(); tokens[0] == tokens[1] || tokens[1] != tokens[2] {
					t.Errorf("with %q, want a new token after the refused one, and then the same", tokens)
				}
			}
		})
		t.Run(s.runtime+"/failures", func(t *testing.T) {
			t.Parallel()
			w := newPlace(t)
			messages := []string{accept, accept, accept, accept, accept}
			w.acceptGrant.then(answering(401, `canary`))
			w.acceptGrant.then(answering(200, `<html>canary`))
			w.acceptGrant.then(answering(200, `{"error":"canary"}`))
			w.acceptGrant.then(hijack("", true))
			w.acceptGrant.then(hang)
			answers, took := s.forward(t, w, "", messages...)
			for i, answer := range answers {
				text := anyID.ReplaceAllString(strings.NewReplacer(`": `, `":`, `, "`, `,"`).Replace(string(answer)), `"messageId":"ID"`)
				if !same(t, json.RawMessage(text), errorResponse(accept, "")) {
					t.Errorf("answer %d: %s", i+1, answer)
				}
			}
			if took >= twoHung {
				t.Errorf("all answers took %v, and only the last was hung", took)
			}
		})
	}
}
