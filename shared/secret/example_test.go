package secret_test

import (
	"context"
	"fmt"

	"github.com/gatepostdev/gatepost/shared/secret"
)

func Example() {
	// A program passes os.LookupEnv.
	variables := map[string]string{"LWA": "fake-secret"}
	lookup := func(name string) (string, bool) { v, ok := variables[name]; return v, ok }
	reader := secret.NewReader(lookup)
	defer reader.Close()

	for _, reference := range []string{"env:LWA", "env:OTHER", "fake-secret"} {
		ref, err := secret.ParseRef(reference)
		if err != nil {
			fmt.Println(err)
			continue
		}
		value, err := reader.Read(context.Background(), ref)
		fmt.Println(ref, value, err)
	}

	// Output:
	// env:LWA [redacted] <nil>
	// env:OTHER [redacted] secret env:OTHER: not found
	// secret reference: must be projects/P/secrets/S[/versions/V], file:PATH or env:NAME (value not shown)
}
