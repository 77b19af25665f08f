package federation_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/federation"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// issuer issues numbered tokens with a lifetime of an hour.
type issuer struct {
	n    atomic.Int64
	took time.Duration
	err  error
}

func (i *issuer) fetch(ctx context.Context, audience string) (federation.Token, error) {
	n := i.n.Add(1)
	select {
	case <-time.After(i.took):
	case <-ctx.Done():
		return federation.Token{}, ctx.Err()
	}
	if i.err != nil {
		return federation.Token{}, i.err
	}
	return federation.Token{Text: sensitive.New(fmt.Sprint(audience, n)), ExpiresAt: time.Now().Add(time.Hour)}, nil
}

// want uses a token, and checks it, the time taken and whether it was renewed.
func want(t *testing.T, tokens *federation.Tokens, token string, took time.Duration, renewed bool) {
	t.Helper()
	started := time.Now()
	use, err := tokens.Use(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if got := use.Token.Reveal(); got != token || time.Since(started) != took {
		t.Errorf("token = %s after %v, want %s after %v", got, time.Since(started), token, took)
	}
	if got, err := use.Wait(); got != renewed || err != nil {
		t.Errorf("Wait() = %v, %v, want %v", got, err, renewed)
	}
}

func TestTokenIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := issuer{took: time.Second}
		tokens := federation.NewTokens(i.fetch, time.Now)
		want(t, tokens, "a1", time.Second, true)
		want(t, tokens, "a1", 0, false)
		if use, err := tokens.Use(t.Context(), "b"); err != nil || use.Token.Reveal() != "b2" {
			t.Errorf("Use() for another audience: %v", err)
		}
		time.Sleep(54 * time.Minute)
		want(t, tokens, "a1", 0, false)
		time.Sleep(2 * time.Minute)
		want(t, tokens, "a1", 0, true) // renewed concurrently
		want(t, tokens, "a3", 0, false)
		time.Sleep(59*time.Minute + 31*time.Second)
		want(t, tokens, "a4", time.Second, true) // the old one expires too soon
	})
}

func TestRenewalIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := issuer{}
		tokens := federation.NewTokens(i.fetch, time.Now)
		want(t, tokens, "a1", 0, true)
		time.Sleep(56 * time.Minute)
		i.took = 2 * time.Second
		use, err := tokens.Use(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		want(t, tokens, "a1", 0, false) // no second renewal
		started := time.Now()
		if renewed, err := use.Wait(); !renewed || err != nil || time.Since(started) != 2*time.Second {
			t.Errorf("Wait() = %v, %v after %v, want true after 2s", renewed, err, time.Since(started))
		}
		want(t, tokens, "a2", 0, false)
	})
}

func TestFailedRenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := issuer{}
		tokens := federation.NewTokens(i.fetch, time.Now)
		want(t, tokens, "a1", 0, true)
		time.Sleep(56 * time.Minute)
		i.err = errors.New("unavailable")
		use, err := tokens.Use(t.Context(), "a")
		if err != nil || use.Token.Reveal() != "a1" {
			t.Fatalf("Use() error = %v, want the old token", err)
		}
		if renewed, err := use.Wait(); renewed || !errors.Is(err, i.err) {
			t.Errorf("Wait() = %v, %v, want the cause", renewed, err)
		}
		want(t, tokens, "a1", 0, false) // no immediate retry
		if n := i.n.Load(); n != 2 {
			t.Errorf("calls = %d, want 2", n)
		}
		time.Sleep(31 * time.Second)
		i.err = nil
		want(t, tokens, "a1", 0, true)
		want(t, tokens, "a3", 0, false)
	})
}

func TestNoToken(t *testing.T) {
	t.Parallel()
	i := issuer{err: errors.New("unavailable")}
	tokens := federation.NewTokens(i.fetch, time.Now)
	if use, err := tokens.Use(t.Context(), "a"); use != nil || !errors.Is(err, i.err) {
		t.Errorf("Use() = %v, %v, want the cause", use, err)
	}
}

func TestPanicInARenewal(t *testing.T) {
	t.Parallel()
	later := time.Duration(0)
	i := issuer{}
	fetch := func(ctx context.Context, audience string) (federation.Token, error) {
		if later > 0 {
			panic("broken")
		}
		return i.fetch(ctx, audience)
	}
	tokens := federation.NewTokens(fetch, func() time.Time { return time.Now().Add(later) })
	want := func() *federation.Use {
		use, err := tokens.Use(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		return use
	}
	want()
	later = 56 * time.Minute
	if renewed, err := want().Wait(); renewed || err == nil {
		t.Errorf("Wait() = %v, %v, want the panic", renewed, err)
	}
}

func TestDiscard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := issuer{}
		tokens := federation.NewTokens(i.fetch, time.Now)
		want(t, tokens, "a1", 0, true)
		discard := func(audience, token string, want bool) {
			t.Helper()
			if got := tokens.Discard(audience, sensitive.New(token)); got != want {
				t.Errorf("Discard(%s, %s) = %v, want %v", audience, token, got, want)
			}
		}
		discard("a", "another", true)
		discard("b", "a1", true)
		want(t, tokens, "a1", 0, false)
		time.Sleep(5*time.Minute - time.Nanosecond)
		discard("a", "a1", false) // too new to be the cause
		want(t, tokens, "a1", 0, false)
		time.Sleep(time.Nanosecond)
		discard("a", "a1", true)
		want(t, tokens, "a2", 0, true)
		discard("a", "a1", true) // from a late request
		want(t, tokens, "a2", 0, false)
		discard("a", "a2", false)
	})
}
