package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// dry returns what a dry run with these arguments prints.
func dry(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), append([]string{"--dry-run"}, args...), &stdout, &stderr); status != exitOK {
		t.Fatalf("status %d: %s", status, &stderr)
	}
	return stdout.String()
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		args []string
	}{
		{"one", []string{"--region", "EU", "--source", "a b.zip", "--proxy", "proxy.zip", "testdata/settings.json"}},
		{"three", []string{"testdata/settings.json"}},
		{"own", []string{"testdata/own.json"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			golden, got := filepath.Join("testdata", "dryrun-"+test.name+".sh"), dry(t, test.args...)
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("output differs; -update rewrites it (-want +got):\n%s", diff)
			}
			syntax := exec.Command("bash", "-n")
			syntax.Stdin = strings.NewReader(got)
			if out, err := syntax.CombinedOutput(); err != nil {
				t.Errorf("a shell cannot read it: %v\n%s", err, out)
			}
		})
	}
}

// TestRegionsAreTheSame holds the commands for each stack against EU's, which
// the real CLIs run in TestRealCLIs: they differ in names and filters only.
func TestRegionsAreTheSame(t *testing.T) {
	t.Parallel()
	s := with(t, nil)
	neutral := func(region string) []string {
		i := slices.IndexFunc(s.stacks, func(one stack) bool { return one.region == region })
		one := s.stacks[i]
		lower := one.lower()
		words := strings.NewReplacer(
			"us-east-1 --output=text", "ANY --output=text", // which any region knows
			strings.ReplaceAll(s.subjectCondition(), "'", `'\''`), "CONDITION", filter(region), "FILTER",
			"gatepost-"+lower, "gatepost-R", "keyset-"+lower, "keyset-R", "proxy-"+lower, "proxy-R", "${"+region+"_", "${R_", "\n"+region+"_", "\nR_",
			"ALEXA_REGIONS="+region, "ALEXA_REGIONS=R", "skill in "+region, "skill in R", "Gatepost "+region, "Gatepost R", "endpoint for "+region, "endpoint for R", "--location="+one.firestoreLocation+" --type", "--location=D --type",
			one.location, "LOCATION", one.awsRegion(), "AWS",
		)
		return strings.Split(words.Replace(dry(t, "--region", region, "testdata/settings.json")), "\n")
	}
	want := neutral("EU")
	if !slices.ContainsFunc(want, func(line string) bool { return strings.Contains(line, "--message-filter=FILTER") }) {
		t.Fatal("no filter was found")
	}
	for _, region := range []string{"FE", "NA"} {
		if diff := cmp.Diff(want, neutral(region)); diff != "" {
			t.Errorf("the commands for %s are not EU's (-EU +%s):\n%s", region, region, diff)
		}
	}
}

// TestRegionsTogether holds the commands for all stacks against those for each.
func TestRegionsTogether(t *testing.T) {
	t.Parallel()
	lines := func(args ...string) []string {
		return strings.Split(dry(t, append(args, "testdata/settings.json")...), "\n")
	}
	var apart []string
	for _, region := range []string{"EU", "FE", "NA"} {
		apart = append(apart, lines("--region", region)...)
	}
	slices.Sort(apart)
	together := lines()
	slices.Sort(together)
	if diff := cmp.Diff(slices.Compact(apart), slices.Compact(together)); diff != "" {
		t.Errorf("commands differ (-each +all):\n%s", diff)
	}
}

// TestInterrupted has somebody stop a run.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	source := zipFile(t, map[string]string{"go.mod": "module example.com/m\n"})
	var out bytes.Buffer
	status := run(ctx, []string{"--source", source, "--proxy", source, "testdata/settings.json"}, &out, &out)
	if status != exitFailed || !strings.Contains(out.String(), "deploy: interrupted\n") {
		t.Errorf("status %d, want %d and that it was interrupted\n%s", status, exitFailed, &out)
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		args   []string
		status int
		want   string
	}{
		{"help", []string{"-h"}, exitOK, "usage: scripts/deploy"},
		{"nothing", nil, exitUsage, "want one file"},
		{"two files", []string{"a", "b"}, exitUsage, "want one file"},
		{"no such file", []string{"testdata/none.json"}, exitUsage, "no such file"},
		{"no such region", []string{"--region", "US", "testdata/settings.json"}, exitUsage, "want NA, EU or FE"},
		{"region not in the settings", []string{"--region", "NA", "testdata/own.json"}, exitUsage, "no such stack"},
		{"no such flag", []string{"--force", "testdata/settings.json"}, exitUsage, "-force"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			if status := run(t.Context(), test.args, &out, &out); status != test.status || !strings.Contains(out.String(), test.want) {
				t.Errorf("status %d, want %d and %q\n%s", status, test.status, test.want, &out)
			}
		})
	}
}
