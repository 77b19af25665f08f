package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
)

// curl finds the requests that are suggested, as the data and the URL.
var curl = regexp.MustCompile(`^curl -d '(.*)' (http://127\.0\.0\.1:\d+/.*)$`)

// TestRun does what the program tells its user to do.
func TestRun(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	output, stdout := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		args := strings.Fields("simulator --lwa 127.0.0.1:0 --na 127.0.0.1:0 --eu localhost:0 --fe=127.0.0.1:0")
		status := cli.Run(ctx, &cli.Env{Stdout: stdout, Stderr: io.Discard, Now: time.Now}, new(commands), args)
		stdout.Close()
		ended <- status
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
	if status := <-ended; status != cli.StatusDone {
		t.Errorf("the status is %d after an interrupt, want %d", status, cli.StatusDone)
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

func TestSimulatorAddresses(t *testing.T) {
	t.Parallel()
	ended, end := context.WithCancel(t.Context())
	end()
	for args, want := range map[string]int{
		"--lwa 127.0.0.1:0 --na 127.0.0.1:0 --fe 127.0.0.1:0 --eu [::1]:0":          cli.StatusDone,
		"--lwa :0 --na 127.0.0.1:0 --fe 127.0.0.1:0 --eu 127.0.0.1:0 --public":      cli.StatusDone,
		"--lwa nowhere --na 127.0.0.1:0 --fe 127.0.0.1:0 --eu 127.0.0.1:0 --public": cli.StatusFailed,
		"--lwa :8090":           cli.StatusUsage,
		"--fe 192.0.2.1:8093":   cli.StatusUsage,
		"--na example.com:8091": cli.StatusUsage,
		"--lwa 127.0.0.1":       cli.StatusUsage,
	} {
		env := &cli.Env{Stdout: io.Discard, Stderr: io.Discard, Now: time.Now}
		if got := cli.Run(ended, env, new(commands), append([]string{"simulator"}, strings.Fields(args)...)); got != want {
			t.Errorf("simulator %s: status %d, want %d", args, got, want)
		}
	}
}
