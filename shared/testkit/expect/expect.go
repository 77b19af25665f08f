// Package expect compares values in tests.
//
//	expect.Equal(t, "requests", want, server.Requests())
package expect

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Equal reports the difference of want and got as a failure of t that names them.
func Equal[T any](t testing.TB, name string, want, got T, options ...cmp.Option) {
	t.Helper()
	if diff := cmp.Diff(want, got, options...); diff != "" {
		t.Errorf("%s: mismatch (-want +got):\n%s", name, diff)
	}
}
