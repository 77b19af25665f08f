package wait_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/wait"
)

func TestFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("why")
		ended, cancel := context.WithCancelCause(t.Context())
		cancel(why)
		short, stop := context.WithTimeoutCause(t.Context(), time.Second, why)
		defer stop()
		for name, test := range map[string]struct {
			ctx  context.Context
			d    time.Duration
			want error
		}{
			"passes":        {t.Context(), time.Hour, nil},
			"at once":       {t.Context(), 0, nil},
			"cut off":       {short, time.Minute, why},
			"already ended": {ended, 0, why},
		} {
			if err := wait.For(test.ctx, test.d); !errors.Is(err, test.want) {
				t.Errorf("%s: For() = %v, want %v", name, err, test.want)
			}
		}
	})
}

func TestTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		less, stop := wait.Less(ctx, 3*time.Second)
		defer stop()
		endless, halt := wait.Less(t.Context(), time.Second)
		if !wait.HasTime(ctx, 10*time.Second) || wait.HasTime(ctx, 10*time.Second+1) {
			t.Error("the time left of ctx is not ten seconds")
		}
		if !wait.HasTime(less, 7*time.Second) || wait.HasTime(less, 7*time.Second+1) {
			t.Error("the time left of less is not seven seconds")
		}
		if !wait.HasTime(endless, time.Hour) {
			t.Error("no time without a deadline")
		}
		if halt(); wait.HasTime(endless, 0) {
			t.Error("time left in an ended context")
		}
	})
}
