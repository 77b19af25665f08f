package alexa_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// unstatable are the rules that no JSON Schema can state: the beginnings of
// what DecodeEvent says.
var unstatable = []string{
	"the same property as ",              // of two properties in a list
	"must be a time of the years 1000",   // once it is written in UTC
	"must be a time in UTC with at most", // a doorbell's year 0999 in UTC, the same
}

// agree holds DecodeEvent and the JSON Schema against each other.
func agree(t *testing.T, schema *jsonschema.Schema, data []byte) {
	t.Helper()
	refused := schema.Validate(instance(t, data))
	_, _, err := alexa.DecodeEvent(data, published, alexa.CheckStrict)
	switch {
	case refused != nil && err == nil:
		t.Errorf("the JSON Schema refuses what DecodeEvent takes: %v\n%s", refused, data)
	case refused == nil && err != nil && !isUnstatable(err):
		t.Errorf("the JSON Schema takes what DecodeEvent refuses: %v\n%s", err, data)
	}
}

func isUnstatable(err error) bool {
	return slices.ContainsFunc(unstatable, func(problem string) bool { return strings.Contains(err.Error(), problem) })
}

func TestSchemaAgrees(t *testing.T) {
	t.Parallel()
	schema, r := compiledSchema(t), source(t)
	for seed := range uint64(1500) {
		agree(t, schema, r.seeded(seed).event(3))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzSchemaAgrees(f *testing.F) {
	schema, r := compiledSchema(f), source(f)
	f.Add(uint64(0), uint8(3))
	f.Fuzz(func(t *testing.T, seed uint64, changes uint8) {
		agree(t, schema, r.seeded(seed).event(int(changes%8)))
	})
}
