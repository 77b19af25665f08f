package doctor

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the table of the checks into README.md")

// TestPage compares the README's table with the checks. go test
// ./scripts/internal/doctor -update writes it. The links of all pages are tested in
// shared/testkit/deptest, and so those of the checks too.
func TestPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "\n| check | before | after | local | proves |\n|---|---|---|---|---|\n", "\n\n## "
	head, rest, _ := strings.Cut(string(page), begin)
	_, tail, _ := strings.Cut(rest, end)
	var rows []string
	for _, c := range checks {
		row := fmt.Sprintf("| %s: [%s](../../../%s) |", c.category, c.name, c.link)
		for _, in := range []int{before, after, local} {
			row += map[bool]string{true: " √ |", false: " |"}[c.in&in != 0]
		}
		rows = append(rows, row+" "+c.proves+" |")
	}
	want := head + begin + strings.Join(rows, "\n") + end + tail
	if *update {
		if err := os.WriteFile("README.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(page)); diff != "" {
		t.Errorf("README.md differs; run go test ./scripts/internal/doctor -update (-want +README.md):\n%s", diff)
	}
}

// TestAPIs: the APIs are those that scripts/deploy enables, and the runtime is its too.
func TestAPIs(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile("../deploy/script.sh.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(script), "run gcloud services enable ")
	list, _, _ = strings.Cut(list, "\n\n")
	var enabled []string
	for _, found := range regexp.MustCompile(`(\w+)\.googleapis\.com`).FindAllStringSubmatch(list, -1) {
		enabled = append(enabled, found[1])
	}
	if !strings.Contains(string(script), " --runtime="+goRuntime+" ") {
		t.Errorf("scripts/deploy has another runtime than %s", goRuntime)
	}
	if diff := cmp.Diff(enabled, apis); diff != "" {
		t.Errorf("APIs differ (-scripts/deploy +doctor):\n%s", diff)
	}
}
