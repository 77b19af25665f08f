package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// answers says how each command is answered, by a part of its title.
var answers = map[string]string{
	"Link another customer":        `^\{"event":\{"header":\{.*"name":"AcceptGrant\.Response"`,
	"Publish a device event":       `^\{"messageId":"m\d+"\}$`,
	"Push an event":                `^\{"outcomes":\[\{"grantId":"[0-9a-f]+","outcome":"accepted"\}\]\}$`,
	"Throttle the next two events": `^$`,
	"Make the access token":        `^$`,
	"Start a sweep":                `^\{"shards":16\}$`,
	"See what Alexa knows":         `"name":"powerState","value":"O`,
	"See what the gateways":        `"target":"gateway/EU"`,
	"See the totals":               `"accepted":[1-9]`,
	"Take all faults away":         `^$`,
}

// TestCommands pastes every command that is suggested into a shell.
func TestCommands(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("the suggested commands cannot be tried: %v", err)
	}
	p := launch(t, "program", nil)
	p.until("Commands to go on with")
	p.until("ends it. What happens:")
	_, text, _ := strings.Cut(p.shown.String(), "another terminal:\n\n")
	blocks := strings.Split(strings.TrimSpace(text), "\n\n")
	blocks = blocks[:len(blocks)-1] // how to end it
	if len(blocks) != len(answers) {
		t.Errorf("%d commands, want %d", len(blocks), len(answers))
	}
	var published string
	for _, block := range blocks {
		answer, err := exec.Command("sh", "-c", block).CombinedOutput()
		got := strings.TrimSpace(string(answer))
		want := answerTo(block)
		if err != nil || want == "" || !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s\nis answered %q, %v; want a match of %s", block, got, err, want)
		}
		if strings.HasPrefix(block, "# Publish") {
			published = regexp.MustCompile(`m\d+`).FindString(got)
		}
	}
	p.until(published+" of u-1/lamp-1, attempt 1: ", "accepted")
	p.terminate()
	p.ends(0)
}

func answerTo(block string) string {
	for title, answer := range answers {
		if strings.HasPrefix(block, "# "+title) {
			return answer
		}
	}
	return ""
}
