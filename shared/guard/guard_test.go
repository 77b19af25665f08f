package guard_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/guard"
)

func TestRun(t *testing.T) {
	t.Parallel()
	mine := errors.New("mine")
	if err := guard.Run(func() error { return mine }); err != mine {
		t.Errorf("%v", err)
	}
	if err := guard.Run(func() error { return nil }); err != nil {
		t.Errorf("%v", err)
	}
	err := guard.Run(func() error { panic("canary") })
	if err == nil || !strings.Contains(err.Error(), "panic: canary") || !strings.Contains(err.Error(), "guard_test.go") {
		t.Errorf("%v", err)
	}
}
