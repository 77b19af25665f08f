package deploy

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// plans are Terraform's plans of infra/, reduced by [reduce], with their settings;
// own.json has few default values. After a change of infra/, with Terraform and
// both providers installed:
//
//	go test ./scripts/internal/deploy -run TestPlanIsFresh -update
//
// Without -update the test compares the two.
var plans = map[string]string{"testdata/plan.json": settingsFile, "testdata/plan-own.json": ownFile}

const (
	settingsFile = "testdata/settings.json"
	ownFile      = "testdata/own.json"
)

// object is a JSON object.
type object = map[string]any

var update = flag.Bool("update", false, "rewrite the files in testdata")

// planned is one resource of a plan.
type planned struct {
	Address string `json:"address"`
	Type    string `json:"type"`
	Values  object `json:"values"`
	Unknown any    `json:"unknown,omitempty"` // true for values known only after the apply
	read    reads
}

// reads are the paths that were read. All others are not compared.
type reads map[string]bool

// unread returns the leaves of a value that were not read, by themselves or as part
// of another path.
func (r reads) unread(value any, path string) []string {
	if r[path] || value == true && r.within(path) {
		return nil
	}
	step := func(name string) string { return strings.TrimPrefix(path+"."+name, ".") }
	var all []string
	switch value := value.(type) {
	case object:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			all = append(all, r.unread(value[name], step(name))...)
		}
		return all
	case []any:
		for i, inner := range value {
			all = append(all, r.unread(inner, step(strconv.Itoa(i)))...)
		}
		return all
	case nil:
		return nil
	}
	return []string{path}
}

// noise is the part that does not describe the resource, or depends on the package.
var noise = []string{
	"deletion_policy", "effective_labels", "terraform_labels", "timeouts", "tags_all", "id", "etag", "source_code_hash", "filename", "source",
	"object", "detect_md5hash", "md5hash", "source_md5hash", "generation",
}

// packageHash is in the name of the uploaded source.
var packageHash = regexp.MustCompile(`functions-[0-9a-f]{32}\.zip`)

// within reports whether a path below this one was read.
func (r reads) within(path string) bool {
	for read := range r {
		if strings.HasPrefix(read, path+".") {
			return true
		}
	}
	return false
}

// reduce keeps the type, name and planned values of a plan's resources.
func reduce(data []byte) ([]planned, error) {
	var plan struct {
		Changes []struct {
			Address string
			Mode    string
			Type    string
			Change  struct {
				After   any
				Unknown any `json:"after_unknown"`
			}
		} `json:"resource_changes"`
	}
	if err := json.Unmarshal(packageHash.ReplaceAll(data, []byte("functions-HASH.zip")), &plan); err != nil {
		return nil, err
	}
	var all []planned
	for _, one := range plan.Changes {
		// Not what observes, which scripts/deploy does not create.
		if one.Mode == "managed" && !strings.Contains(one.Address, "module.observability.") {
			values, _ := prune(one.Change.After).(object)
			all = append(all, planned{Address: one.Address, Type: one.Type, Values: values, Unknown: prune(one.Change.Unknown)})
		}
	}
	slices.SortFunc(all, func(a, b planned) int { return strings.Compare(a.Address, b.Address) })
	return all, nil
}

// prune removes noise and empty values. An empty object in a list stays, because
// index_config {} has a meaning.
func prune(value any) any {
	switch value := value.(type) {
	case object:
		kept := object{}
		for name, inner := range value {
			if inner = prune(inner); inner != nil && !slices.Contains(noise, name) {
				kept[name] = inner
			}
		}
		if len(kept) == 0 {
			return nil
		}
		return kept
	case []any:
		kept := []any{}
		for _, inner := range value {
			if inner = prune(inner); inner == nil {
				inner = object{}
			}
			kept = append(kept, inner)
		}
		if len(kept) == 0 {
			return nil
		}
		return kept
	case bool:
		if !value {
			return nil
		}
	}
	return value
}

// write writes one resource a line, so that changes are easy to read.
func write(plan []planned) ([]byte, error) {
	var b bytes.Buffer
	for i, one := range plan {
		line, err := json.Marshal(one)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%s%s", map[bool]string{true: "[\n", false: ",\n"}[i == 0], line)
	}
	b.WriteString("\n]\n")
	return b.Bytes(), nil
}

// readPlan reads a plan. The role in a role policy is another resource of the plan.
func readPlan(t *testing.T, file string) []planned {
	t.Helper()
	data, err := os.ReadFile(file)
	var plan []planned
	if err := errors.Join(err, json.Unmarshal(data, &plan)); err != nil {
		t.Fatal(err)
	}
	roles := map[string]any{}
	for _, p := range plan {
		module, _, _ := strings.Cut(p.Address, ".aws_")
		switch p.Type {
		case "aws_iam_role":
			roles[module] = p.Values["name"]
		case "aws_iam_role_policy": // its role is in the same module
			p.Values["role"] = roles[module]
			delete(p.Unknown.(object), "role")
		}
	}
	return plan
}

// later stands for a value known only after the apply.
const later = "(known after apply)"

// at returns the value at a path such as push_config.0.push_endpoint.
func (p planned) at(path string) string {
	if p.read != nil {
		p.read[path] = true
	}
	value, unknown := any(p.Values), p.Unknown
	for step := range strings.SplitSeq(path, ".") {
		value, unknown = inside(value, step), inside(unknown, step)
		if unknown == true {
			return later
		}
	}
	return bare(value)
}

func inside(value any, step string) any {
	switch value := value.(type) {
	case object:
		return value[step]
	case []any:
		if i, err := strconv.Atoi(step); err == nil && i < len(value) {
			return value[i]
		}
	}
	return nil
}

// bare formats a value for the comparison.
func bare(value any) string {
	switch value := value.(type) {
	case nil:
		return ""
	case string:
		return value
	case float64:
		return strconv.FormatFloat(value, 'f', -1, 64)
	case object, []any:
		return compact(value)
	}
	return fmt.Sprint(value)
}
