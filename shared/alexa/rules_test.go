package alexa_test

import (
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// rule is a way to break one rule: an example in which old becomes new, and
// what is said about it.
type rule struct {
	name, example, old, new string
	path, problem           string
}

const (
	report     = "Alexa.ChangeReport"
	schemaRule = "Amazon's message schema of 2021"
	pagesRule  = "developer.amazon.com/docs/"
	useRule    = "seen in use"
	errorTypes = "ALREADY_IN_OPERATION, BRIDGE_UNREACHABLE, CLOUD_CONTROL_DISABLED, ENDPOINT_BUSY, ENDPOINT_LOW_POWER, " +
		"ENDPOINT_UNREACHABLE, EXPIRED_AUTHORIZATION_CREDENTIAL, FIRMWARE_OUT_OF_DATE, HARDWARE_MALFUNCTION, INSUFFICIENT_PERMISSIONS, " +
		"INTERNAL_ERROR, INVALID_AUTHORIZATION_CREDENTIAL, INVALID_DIRECTIVE, INVALID_VALUE, NO_SUCH_ENDPOINT, NOT_CALIBRATED, " +
		"NOT_IN_OPERATION, NOT_SUPPORTED_IN_CURRENT_MODE, POWER_LEVEL_NOT_SUPPORTED, RATE_LIMIT_EXCEEDED, TEMPERATURE_VALUE_OUT_OF_RANGE, " +
		"TOO_MANY_FAILED_ATTEMPTS, VALUE_OUT_OF_RANGE"
)

var (
	// ruleForm is how testdata has a rule.
	ruleForm = regexp.MustCompile(`(?m)^# (.+)\n(.+)\n- (.+)\n\+ (.*)\n(\S+): (.+)\n`)
	// repeated stands for a text that is repeated.
	repeated = regexp.MustCompile(`⟨(\d+)×(.+?)⟩`)
)

// rulesIn reads the rules of a file in testdata.
func rulesIn(t *testing.T, file string) []rule {
	t.Helper()
	data, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	names := strings.NewReplacer("⟨error types⟩", errorTypes, "⟨causes⟩", theCauses[len("one of "):], "⟨property⟩", other)
	text := names.Replace(string(data))
	text = repeated.ReplaceAllStringFunc(text, func(short string) string {
		parts := repeated.FindStringSubmatch(short)
		n, _ := strconv.Atoi(parts[1])
		return strings.Repeat(parts[2], n)
	})
	var rules []rule
	for _, m := range ruleForm.FindAllStringSubmatch(text, -1) {
		rules = append(rules, rule{name: m[1], example: m[2], old: m[3], new: m[4], path: m[5], problem: m[6]})
	}
	if want := strings.Count(text, "\n\n"); len(rules) != want || want == 0 {
		t.Fatalf("%s: %d rules are read, and there are %d", file, len(rules), want)
	}
	return rules
}

// ofTheFormat are the problems that are Gatepost's own format's: it reads times
// that Amazon's schema does not know, and wants to know every field.
var ofTheFormat = []string{"appears twice", "must be an RFC 3339 time"}

// broken is the example of a rule with the rule broken.
func (r rule) broken(t *testing.T) []byte {
	t.Helper()
	whole := example(t, r.example)
	event := strings.Replace(whole, r.old, r.new, 1)
	if event == whole {
		t.Fatalf("the case changes nothing: %q is not in the example", r.old)
	}
	return []byte(event)
}

// held reports whether a fault is the one that breaking the rule makes.
func (r rule) held(f *alexa.FieldError) bool { return f.Path == r.path && f.Problem == r.problem }

// TestRefused: what Amazon would refuse is an error when checks are strict, and is
// carried otherwise.
func TestRefused(t *testing.T) {
	t.Parallel()
	for _, test := range rulesIn(t, "refused.txt") {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			event := test.broken(t)
			_, _, err := alexa.DecodeEvent(event, published, alexa.CheckStrict)
			var field *alexa.FieldError
			if !errors.As(err, &field) {
				t.Fatalf("got %v, want a FieldError", err)
			}
			if !test.held(field) {
				t.Errorf("got  %s: %s\nwant %s: %s", field.Path, field.Problem, test.path, test.problem)
			}
			if field.Warning {
				t.Error("the error is marked as a warning")
			}
			if field.Rule == "" && !slices.Contains(ofTheFormat, field.Problem) {
				t.Errorf("does not say whose rule it is: %s", field)
			}
			isCarried(t, event, test)
		})
	}
}

// isCarried wants an event that is wrong to be sent as it is when checks are
// not strict, with what is wrong said only if they warn.
func isCarried(t *testing.T, event []byte, broken rule) {
	t.Helper()
	e, warnings, err := alexa.DecodeEvent(event, published, alexa.CheckWarn)
	if err != nil {
		t.Fatalf("CheckWarn: %v", err)
	}
	if !slices.ContainsFunc(warnings, broken.held) {
		t.Errorf("CheckWarn: got %q, want among it\n%s: %s", problems(warnings), broken.path, broken.problem)
	}
	if sent := e.Append(nil, "m-1", sensitive.New("Atza|fake")); !json.Valid(sent) {
		t.Errorf("CheckWarn: sent as %s", sent)
	}
	e, warnings, err = alexa.DecodeEvent(event, published, alexa.CheckOff)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("CheckOff: error %v, warnings %q", err, problems(warnings))
	}
	if sent := e.Append(nil, "m-1", sensitive.New("Atza|fake")); !json.Valid(sent) {
		t.Errorf("CheckOff: sent as %s", sent)
	}
}

// TestWarned: what Amazon takes, or might take by now, is carried, with a warning.
func TestWarned(t *testing.T) {
	t.Parallel()
	for _, test := range rulesIn(t, "warned.txt") {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			event := test.broken(t)
			_, warnings, err := alexa.DecodeEvent(event, published, alexa.CheckStrict)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{test.path + ": " + test.problem}, problems(warnings)); diff != "" {
				t.Fatalf("warnings (-want +got):\n%s", diff)
			}
			if !warnings[0].Warning {
				t.Error("not marked as a warning")
			}
			if warnings[0].Rule != schemaRule && warnings[0].Rule != useRule && !strings.HasPrefix(warnings[0].Rule, pagesRule) {
				t.Errorf("the rule is %q, and not one of Amazon's", warnings[0].Rule)
			}
			isCarried(t, event, test)
		})
	}
}

// TestFaultsHoldNoValue: whatever is wrong with a value, it may be a secret, and
// what is said names the field only.
func TestFaultsHoldNoValue(t *testing.T) {
	t.Parallel()
	const canary = "canary.of/value"
	for name, data := range examples(t) {
		doc := decodeAny(t, data)
		for _, set := range leaves(doc) {
			old := set(canary)
			event, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = alexa.DecodeEvent(event, published, alexa.CheckStrict)
			_, warnings, _ := alexa.DecodeEvent(event, published, alexa.CheckWarn)
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("%s: %v", name, err)
			}
			if said := strings.Join(problems(warnings), "\n"); strings.Contains(said, canary) {
				t.Errorf("%s: %s", name, said)
			}
			set(old)
		}
	}
}

// leaves returns, for each value in a document that is no object or list, a
// function that replaces it and returns what was there.
func leaves(v any) []func(any) any {
	var list []func(any) any
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if below := leaves(value); below != nil {
				list = append(list, below...)
				continue
			}
			list = append(list, func(to any) (old any) { old, v[name] = v[name], to; return old })
		}
	case []any:
		for i, value := range v {
			if below := leaves(value); below != nil {
				list = append(list, below...)
				continue
			}
			list = append(list, func(to any) (old any) { old, v[i] = v[i], to; return old })
		}
	}
	return list
}
