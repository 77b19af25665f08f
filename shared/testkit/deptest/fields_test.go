package deptest

import (
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// lines are the log lines that a package's fields appear in.
var lines = map[string][]string{
	"functions/acceptgrant":     {"AcceptGrant"},
	"functions/skillevent":      {"SkillEvent"},
	"functions/refreshtokens":   {"RefreshTokens", "RefreshShard"},
	"functions/sendevent":       {"SendEvent"},
	"functions/skillproxy":      {"SkillProxy"},
	"functions/internal/wiring": {"circuit breaker"},
	"shared/access":             {"RefreshShard", "SendEvent"},
	"shared/delivery":           {"SendEvent"},
	"shared/host":               {"every function"},
	"shared/lifecycle":          {"grant …"},
	"shared/telemetry":          {"every function"},
}

var (
	constant = regexp.MustCompile(`(?m)^\t(\w+) += "([^"]+)"$`)
	// field is a field that product code puts into a line: its name, and what is
	// added to that.
	field = regexp.MustCompile(`slog\.(?:String|Int|Int64|Bool|Any|Time)\(("[^"]*"|[\w.]+)(\+)?`)
	// row is a row of FIELDS.md: name, meaning, lines.
	row = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]+) \\| ([^|]+) \\|$")
)

// TestFields: FIELDS.md lists the fields of log lines, all of them and no others,
// and says where they appear.
func TestFields(t *testing.T) {
	t.Parallel()
	constants := make(map[string]string)
	for _, found := range constant.FindAllStringSubmatch(read(t, "shared/telemetry/telemetry.go"), -1) {
		constants[found[1]] = found[2]
	}
	found := make(map[string]map[string]bool) // name → lines
	for _, dir := range []string{"functions", "shared"} {
		err := fs.WalkDir(tree, dir, func(file string, _ fs.DirEntry, err error) error {
			if err != nil || path.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
				return err
			}
			for _, f := range field.FindAllStringSubmatch(read(t, file), -1) {
				name, literal := strings.CutPrefix(f[1], `"`)
				name = strings.TrimSuffix(name, `"`)
				if !literal {
					name = constants[strings.TrimPrefix(f[1], "telemetry.")]
				}
				if f[2] != "" {
					name += "…"
				}
				if name == "" || lines[path.Dir(file)] == nil {
					t.Errorf("%s: the name of the field %s is not found, or which line it is in", file, f[1])
				}
				if found[name] == nil {
					found[name] = make(map[string]bool)
				}
				for _, line := range lines[path.Dir(file)] {
					found[name][line] = true
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	want, got := make(map[string]string), make(map[string]string)
	for name, in := range found {
		want[name] = strings.Join(slices.Sorted(maps.Keys(in)), ", ")
		if in["every function"] {
			want[name] = "every function"
			if in["SkillProxy"] { // which is no function of package host
				want[name] = "every function, SkillProxy"
			}
		}
	}
	for _, r := range row.FindAllStringSubmatch(read(t, "shared/telemetry/FIELDS.md"), -1) {
		got[r[1]] = r[3]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("FIELDS.md and the code differ (-code +page):\n%s", diff)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := fs.ReadFile(tree, file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
