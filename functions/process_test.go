package functions_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
)

// with returns a copy of an environment with variables added or changed.
func with(env, more map[string]string) map[string]string {
	both := maps.Clone(env)
	maps.Copy(both, more)
	return both
}

// start starts the program. What it writes is looked through for secrets when
// the test ends.
func start(t *testing.T, env map[string]string) (*binary.Process, error) {
	path, err := testkit.Program()
	if err != nil {
		return nil, err
	}
	p, err := binary.Start(path, env)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		p.Kill()
		shown.add(fmt.Sprintf("output of a process of %s %s", t.Name(), env["FUNCTION_TARGET"]), p.Output())
	})
	return p, nil
}

// launch starts the program and returns when it serves.
func launch(t *testing.T, env map[string]string) *binary.Process {
	t.Helper()
	p, err := start(t, env)
	if err == nil {
		err = p.Ready(testkit.Context(t))
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// answer is what the program answered.
type answer struct {
	Status int
	Body   string
}

// send makes a request on a connection of its own: none outlives its test, and
// each finds out whether the program still listens. The answer is looked
// through for secrets.
func send(ctx context.Context, method, url string, header map[string]string, body string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Close = true
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, fmt.Errorf("reading the answer: %w", err)
	}
	shown.add("answer of "+request.URL.Path, fmt.Sprint(response.Header, string(text)))
	return answer{Status: response.StatusCode, Body: string(text)}, nil
}

// post is send for a request that must be answered.
func post(t *testing.T, url string, header map[string]string, body string) answer {
	t.Helper()
	a, err := send(testkit.Context(t), http.MethodPost, url, header, body)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// decode reads JSON.
func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var value T
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return value
}
