package expect_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// recorder records the failure of a test.
type recorder struct {
	testing.TB
	failure string
}

func (r *recorder) Helper()                      {}
func (r *recorder) Errorf(f string, args ...any) { r.failure = fmt.Sprintf(f, args...) }

func TestEqual(t *testing.T) {
	t.Parallel()
	for got, fails := range map[string]bool{"a": false, "b": true} {
		r := new(recorder)
		expect.Equal(r, "letter", "a", got)
		if fails != (strings.HasPrefix(r.failure, "letter: ") && strings.Contains(r.failure, `"b"`)) || !fails && r.failure != "" {
			t.Errorf("Equal(a, %s) failed with %q", got, r.failure)
		}
	}
}
