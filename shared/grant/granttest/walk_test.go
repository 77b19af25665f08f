package granttest_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/grant/granttest"
)

const noControls = "there are no control documents on a walk"

// notOnAWalk names the mistakes that walks cannot find, and why.
var notOnAWalk = map[string]string{
	"ignores the context":      "no context ends on a walk: whether a write that was under way is done nobody can say",
	"hides the context's end":  "no context ends on a walk",
	"hides expired deliveries": "a store may take what is expired for gone, so nothing expires on a walk",
	"cuts big tokens":          "a walk is fast because its values are small",

	"reads a missing control document as new": noControls,
	"loses what is false":                     noControls,
	"keeps numbers as text":                   noControls,
	"merges control documents":                noControls,
	"compares control documents":              noControls,
	"keeps the document it was given":         noControls,
	"counts all documents":                    noControls,
}

// TestWalksFindMistakes is the proof of the walks: none but the mistakes named
// above gets past them, and no right store is refused.
func TestWalksFindMistakes(t *testing.T) {
	t.Parallel()
	for name := range notOnAWalk {
		if _, ok := mistakes[name]; !ok {
			t.Errorf("there is no mistake %q to excuse", name)
		}
	}
	for name, mistake := range mistakes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := walk(t, mistake.make)
			if why, excused := notOnAWalk[name]; (err == nil) != excused {
				t.Errorf("got error %v; a reason not to find it: %q", err, why)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		if err := walk(t, func(s grant.Admin) grant.Admin { return s }); err != nil {
			t.Error(err)
		}
	})
}

// walk takes walks, always the same ones, and returns what the first one found.
// Half of them find every mistake.
func walk(t *testing.T, make func(grant.Admin) grant.Admin) (err error) {
	const walks, steps = 50, 100
	synctest.Test(t, func(t *testing.T) { // for the stores that wait
		for seed := range uint64(walks) {
			if err = granttest.Walk(t.Context(), make(grantmem.New()), seed, steps); err != nil {
				t.Logf("found with seed %d", seed)
				return
			}
		}
	})
	return err
}

// TestWalkIsRepeatable sees one seed fail twice in the same way.
func TestWalkIsRepeatable(t *testing.T) {
	t.Parallel()
	const seed = 2 // of a walk on which the mistake shows
	var errs [2]string
	for i := range errs {
		err := granttest.Walk(t.Context(), findsLater(grantmem.New()), seed, 1000)
		if err == nil {
			t.Fatal("the walk found nothing wrong")
		}
		errs[i] = err.Error()
	}
	if diff := cmp.Diff(errs[0], errs[1]); diff != "" {
		t.Errorf("the second time (-first +second):\n%s", diff)
	}
	if !strings.Contains(errs[0], "after these operations:\n  ") {
		t.Errorf("got error %q, want it to tell the operations", errs[0])
	}
}
