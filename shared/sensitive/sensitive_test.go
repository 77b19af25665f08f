package sensitive_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/sensitive"
)

const canary = "Atza|canary-8f1c"

// holder has the secret in an unexported field, which fmt prints by reflection
// without calling methods.
type holder struct {
	Open   sensitive.String
	hidden sensitive.String
}

func TestNeverPrinted(t *testing.T) {
	t.Parallel()
	s := sensitive.New(canary)
	h := holder{Open: s, hidden: s}
	shown := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%10s"} {
		shown["string "+verb] = fmt.Sprintf(verb, s)
		shown["pointer "+verb] = fmt.Sprintf(verb, &s)
		shown["struct "+verb] = fmt.Sprintf(verb, h)
		shown["struct pointer "+verb] = fmt.Sprintf(verb, &h)
		shown["map "+verb] = fmt.Sprintf(verb, map[string]sensitive.String{"k": s})
		shown["slice "+verb] = fmt.Sprintf(verb, []sensitive.String{s})
	}
	shown["error"] = fmt.Errorf("refresh with %v: %w", s, fmt.Errorf("cause %s", s)).Error()
	shown["print"] = fmt.Sprint(s) + fmt.Sprintln(s)

	encoded, err := json.Marshal(map[string]any{"v": s, "p": &s, "h": h})
	if err != nil {
		t.Fatal(err)
	}
	shown["json"] = string(encoded)
	keyed, err := json.Marshal(map[sensitive.String]int{s: 1})
	if err != nil {
		t.Fatal(err)
	}
	shown["json key"] = string(keyed)

	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", s, "h", h, "any", []any{s})
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", s, "h", h, "any", []any{s})
	shown["slog"] = log.String()

	for name, text := range shown {
		if strings.Contains(text, "canary") || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", "canary")) {
			t.Errorf("%s contains the secret: %s", name, text)
		}
	}
	if got := fmt.Sprintf("%v", s); got != sensitive.Redacted {
		t.Errorf("%%v = %q, want %q", got, sensitive.Redacted)
	}
}

func TestReveal(t *testing.T) {
	t.Parallel()
	if got := sensitive.New(canary).Reveal(); got != canary {
		t.Errorf("Reveal() = %q", got)
	}
	var none sensitive.String
	if !none.Empty() || none.Reveal() != "" || !none.Equal(sensitive.New("")) {
		t.Error("the zero String is not empty")
	}
	if !sensitive.New("a").Equal(sensitive.New("a")) || sensitive.New("a").Equal(sensitive.New("b")) {
		t.Error("Equal does not compare the texts")
	}
}
