package alexa_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// compiledSchema is the JSON Schema as its strictest user has it, who also
// holds values against their format.
func compiledSchema(tb testing.TB) *jsonschema.Schema {
	tb.Helper()
	return compileSchema(tb, "deviceevent.schema.json", alexa.Schema())
}

func compileSchema(tb testing.TB, name string, text []byte) *jsonschema.Schema {
	tb.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource(name, instance(tb, text)); err != nil {
		tb.Fatal(err)
	}
	schema, err := compiler.Compile(name)
	if err != nil {
		tb.Fatal(err)
	}
	return schema
}

// instance is a document as the schema's validator takes it.
func instance(tb testing.TB, data []byte) any {
	tb.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func TestSchemaFile(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("deviceevent.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(alexa.Schema()), string(file)); diff != "" {
		t.Errorf("deviceevent.schema.json is not what Schema says (-want +got); write it anew with:\n"+
			"go run ./scripts/gatepost lint --schema >shared/alexa/deviceevent.schema.json\n%s", diff)
	}
}
