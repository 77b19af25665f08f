package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// curl finds the requests that are suggested, as the data and the URL.
var curl = regexp.MustCompile(`^curl -d '(.*)' (http://127\.0\.0\.1:\d+/.*)$`)

// TestRun does what the program tells its user to do.
func TestRun(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	output, stdout := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-addr", "127.0.0.1:0", "-na", "127.0.0.1:0", "-eu", "localhost:0", "-fe", "127.0.0.1:0"}, stdout, io.Discard)
		stdout.Close()
		ended <- err
	}()
	exported, answers := map[string]string{}, []int{}
	for lines := bufio.NewScanner(output); len(answers) < 2 && lines.Scan(); {
		if name, value, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "export "), "="); ok && strings.HasPrefix(lines.Text(), "export ") {
			exported[name] = value
		}
		if found := curl.FindStringSubmatch(lines.Text()); found != nil {
			answers = append(answers, post(t, found[2], found[1]))
		}
	}
	if len(answers) != 2 || answers[0] != http.StatusOK || answers[1] != http.StatusNoContent {
		t.Errorf("the suggested requests were answered %v, want 200 and 204", answers)
	}
	for _, name := range []string{"LWA_TOKEN_URL", "LWA_TOKENINFO_URL", "EVENT_GATEWAY_NA", "EVENT_GATEWAY_EU", "EVENT_GATEWAY_FE"} {
		if parsed, err := url.Parse(exported[name]); err != nil || parsed.Host == "" {
			t.Errorf("%s = %q is no URL", name, exported[name])
		}
	}
	if got := exported["GRANTEE_RESOLVER"]; !strings.HasPrefix(got, "userinfo:http://127.0.0.1:") {
		t.Errorf("GRANTEE_RESOLVER = %q", got)
	}
	if got := exported[strings.TrimPrefix(exported["LWA_CREDENTIALS"], "env:")]; !strings.HasPrefix(got, `'{"client_id":`) {
		t.Errorf("LWA_CREDENTIALS refers to %q", got)
	}
	interrupt()
	if err := <-ended; err != nil {
		t.Errorf("run() = %v after an interrupt", err)
	}
}

func post(t *testing.T, target, data string) int {
	t.Helper()
	response, err := http.Post(target, "application/x-www-form-urlencoded", strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		args   []string
		wantOK bool
	}{
		{"defaults", nil, true},
		{"IPv6 loopback", []string{"-eu", "[::1]:8092"}, true},
		{"every interface", []string{"-addr", ":8090"}, false},
		{"another machine's", []string{"-fe", "192.0.2.1:8093"}, false},
		{"a name", []string{"-na", "example.com:8091"}, false},
		{"no port", []string{"-addr", "127.0.0.1"}, false},
		{"every interface, meant", []string{"-public", "-addr", ":8090"}, true},
		{"an argument", []string{"start"}, false},
		{"unknown flag", []string{"-asia", "127.0.0.1:1"}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if _, err := parse(test.args, io.Discard); (err == nil) != test.wantOK {
				t.Errorf("parse(%q) = %v, want ok %v", test.args, err, test.wantOK)
			}
		})
	}
	if _, err := parse([]string{"-h"}, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("parse(-h) = %v, want flag.ErrHelp", err)
	}
	if err := run(t.Context(), []string{"-public", "-addr", "nowhere"}, io.Discard, io.Discard); err == nil {
		t.Error("run() = nil for an address without a port")
	}
}
