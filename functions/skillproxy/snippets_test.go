package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Google's libraries are not on this machine. In their place stand these, which
// give numbered tokens when they are asked as the libraries want to be, or
// never, if NO_TOKEN is set.
const (
	fakeNode = `let n = 0;
export class ExternalAccountClient {
  static fromJSON(config) { return config.type === "external_account" ? "source" : null; }
}
export class Impersonated {
  constructor(options) { Object.assign(this, options); }
  async fetchIdToken(audience, { includeEmail }) {
    if (process.env.NO_TOKEN) await new Promise(() => {});
    if (this.sourceClient !== "source" || !includeEmail) throw new Error("options");
    return ["fake-id-" + ++n, this.targetPrincipal, audience].join("|");
  }
}`
	fakeAWS = `import json
class Credentials:
    @classmethod
    def from_file(cls, filename, scopes):
        assert 'cloud-platform' in scopes[0]
        with open(filename) as file:
            return 'source' if json.load(file)['type'] == 'external_account' else None
`
	fakeImpersonated = `import os, threading
count = 0
class Credentials:
    def __init__(self, source_credentials, target_principal, target_scopes):
        assert source_credentials == 'source' and 'cloud-platform' in target_scopes[0]
        self.principal = target_principal
class IDTokenCredentials:
    def __init__(self, target_credentials, target_audience=None, include_email=False):
        assert include_email
        self.valid, self.text = False, "|".join([target_credentials.principal, target_audience])
    def refresh(self, request):
        if os.environ.get("NO_TOKEN"): threading.Event().wait()
        global count
        count += 1
        self.valid, self.token = True, "fake-id-%d|%s" % (count, self.text)
`
	fakeTransport = "class Request: pass\n"
)

// snippet is one of the snippets for makers whose skill has a Lambda already,
// in a program that forwards what it reads.
type snippet struct {
	name, runtime, file string
	files               map[string]string
}

var snippets = []snippet{
	{"Node", "node", "forward.mjs", map[string]string{
		"node_modules/google-auth-library/package.json": `{"name":"google-auth-library","type":"module","main":"index.js"}`,
		"node_modules/google-auth-library/index.js":     fakeNode,
		"google.json": `{"type":"external_account"}`,
		"main.mjs": `import { forward } from "./forward.mjs";
const answers = [];
for (const event of JSON.parse(process.env.EVENTS)) answers.push((await forward(event).catch(() => "thrown")) ?? null);
console.log(JSON.stringify(answers)); process.exit();`,
	}},
	{"Python", "python3", "forward.py", map[string]string{
		"google/__init__.py":                      "",
		"google.json":                             `{"type":"external_account"}`,
		"google/auth/__init__.py":                 "",
		"google/auth/aws.py":                      fakeAWS,
		"google/auth/impersonated_credentials.py": fakeImpersonated,
		"google/auth/transport/__init__.py":       "",
		"google/auth/transport/requests.py":       fakeTransport,
		"main.mjs": `import json, os
from forward import forward
answers = []
for event in json.loads(os.environ["EVENTS"]):
    try: answers.append(forward(event))
    except Exception: answers.append("thrown")
print(json.dumps(answers), flush=True); os._exit(0)`,
	}},
}

// forward runs a snippet on messages, with env besides its own environment, and
// returns its answers.
func (s snippet) forward(t *testing.T, w *world, env string, messages ...string) []json.RawMessage {
	t.Helper()
	runtime, err := exec.LookPath(s.runtime)
	if err != nil {
		t.Skipf("%s is not installed: its snippet was not run", s.runtime)
	}
	dir := t.TempDir()
	for name, text := range s.files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	source, err := os.ReadFile(filepath.Join("snippets", s.file))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, s.file), source, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, runtime, filepath.Join(dir, "main.mjs"))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "AWS_REGION=us-west-2", "GOOGLE_SERVICE_ACCOUNT=skill@maker.example", "GOOGLE_APPLICATION_CREDENTIALS=google.json", "ACCEPT_GRANT_URL="+w.acceptGrant.URL+"/AcceptGrant",
		"SKILL_EVENT_URL="+w.skillEvent.URL, "EVENTS=["+strings.Join(messages, ",")+"]", "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1", env)
	var logs strings.Builder
	cmd.Stderr = &logs
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s%s", err, output, logs.String())
	}
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	written.add(t.Name(), logs.String()+strings.Join(lines[:len(lines)-1], "\n"))
	var answers []json.RawMessage
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &answers); err != nil || len(answers) != len(messages) {
		t.Fatalf("%v: %s", err, output)
	}
	return answers
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

// twoHung is how long a snippet waits for two requests that hang, 6.5 s each. A
// busy machine needs seconds to start an interpreter.
const twoHung = 13 * time.Second

func TestSnippets(t *testing.T) {
	t.Parallel()
	for _, s := range snippets {
		source, err := os.ReadFile(filepath.Join("snippets", s.file))
		if lines := strings.Count(string(source), "\n"); err != nil || lines >= 40 {
			t.Errorf("%s has %d lines (%v), and should have fewer than 40", s.file, lines, err)
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.skillEvent.then(answering(200, `{"ok":true}`))
			w.skillEvent.then(answering(503, ``))
			answers := s.forward(t, w, "", accept, disabled, disabled, turnOn, `{"key1":"value1"}`)
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
		t.Run(s.name+"/no token in time", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			started := time.Now()
			if answers := s.forward(t, w, "NO_TOKEN=1", disabled); !same(t, answers[0], `"thrown"`) {
				t.Errorf("answer %s", answers[0])
			}
			if took := time.Since(started); took >= twoHung {
				t.Errorf("gave up after %v", took)
			}
		})
		t.Run(s.name+"/refused token", func(t *testing.T) {
			t.Parallel()
			for _, message := range []string{accept, disabled} {
				w := newWorld(t)
				to := map[string]*behind{accept: w.acceptGrant, disabled: w.skillEvent}[message]
				to.then(answering(401, ``))
				answers := s.forward(t, w, "", message, message, message)
				if !same(t, answers[1], done) || !same(t, answers[2], done) {
					t.Errorf("answers %s", answers)
				}
				got := to.got()
				if len(got) != 3 {
					t.Fatalf("%d requests, want 3", len(got))
				}
				first, second, third := got[0].header.Get("Authorization"), got[1].header.Get("Authorization"), got[2].header.Get("Authorization")
				if first == second || second != third {
					t.Errorf("with %q, %q, %q, want a new token after the refused one, and then the same", first, second, third)
				}
			}
		})
		t.Run(s.name+"/failures", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			messages := []string{accept, accept, accept, accept, accept}
			w.acceptGrant.then(answering(401, `canary`))
			w.acceptGrant.then(answering(200, `<html>canary`))
			w.acceptGrant.then(answering(200, `{"error":"canary"}`))
			w.acceptGrant.then(hijack("", true))
			w.acceptGrant.then(hang)
			started := time.Now()
			for i, answer := range s.forward(t, w, "", messages...) {
				text := anyID.ReplaceAllString(strings.NewReplacer(`": `, `":`, `, "`, `,"`).Replace(string(answer)), `"messageId":"ID"`)
				if !same(t, json.RawMessage(text), errorResponse(accept, "")) {
					t.Errorf("answer %d: %s", i+1, answer)
				}
			}
			if took := time.Since(started); took >= twoHung {
				t.Errorf("all answers took %v, and only the last was hung", took)
			}
		})
	}
}
