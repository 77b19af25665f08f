package simulator_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/simulator"
)

var documented = regexp.MustCompile(`(?m)^curl(?: -X (\w+))?(?: -d '(.*)')? '?http://127\.0\.0\.1:8090/simulator(/.*?)'?$`)

// TestReadme sends every control request of the README, in its order.
func TestReadme(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, simulator.Options{})
	found := documented.FindAllStringSubmatch(string(readme), -1)
	if lines := strings.Count(string(readme), "\ncurl "); len(found) != lines || lines == 0 {
		t.Fatalf("%d of %d curl lines understood", len(found), lines)
	}
	for _, match := range found {
		method, data, path := match[1], match[2], match[3]
		switch {
		case method == "" && data != "":
			method = "POST"
		case method == "":
			method = "GET"
		}
		if got := r.control(method, path, data); got.status != 200 && got.status != 204 {
			t.Errorf("%s\nanswered %d %s", match[0], got.status, got.body)
		}
	}
}
