package access

import (
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// TestOpenedIsWhatOpeningGives: a token that was opened is given out for the same
// sealed token of the same grant, within a minute, and for nothing else.
func TestOpenedIsWhatOpeningGives(t *testing.T) {
	t.Parallel()
	opened1 := time.Unix(1000, 0)
	mine := openedKey{customer: grant.Key{Skill: "default", UserID: "u-1"}, grant: "g-1"}
	tests := []struct {
		name   string
		key    openedKey
		sealed string
		after  time.Duration
		want   bool
	}{
		{"the same", mine, "sealed-1", time.Minute - 1, true},
		{"a minute later", mine, "sealed-1", time.Minute, false},
		{"refreshed, or sealed anew", mine, "sealed-2", 0, false},
		{"another customer's", openedKey{customer: grant.Key{Skill: "default", UserID: "u-2"}, grant: "g-1"}, "sealed-1", 0, false},
		{"another skill's", openedKey{customer: grant.Key{Skill: "other", UserID: "u-1"}, grant: "g-1"}, "sealed-1", 0, false},
		{"another grant's", openedKey{customer: mine.customer, grant: "g-2"}, "sealed-1", 0, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var o opened
			o.note(mine, []byte("sealed-1"), sensitive.New("Atza|fake-1"), opened1)
			got, ok := o.find(test.key, []byte(test.sealed), opened1.Add(test.after))
			if ok != test.want || ok != got.Equal(sensitive.New("Atza|fake-1")) {
				t.Errorf("found %v, want %v", ok, test.want)
			}
		})
	}
}

// TestOpenedDoesNotLinger: what is no longer given out is not kept either.
func TestOpenedDoesNotLinger(t *testing.T) {
	t.Parallel()
	var o opened
	now := time.Unix(1000, 0)
	key := openedKey{grant: "g-1"}
	o.note(key, []byte("sealed-1"), sensitive.New("Atza|fake-1"), now)
	o.find(key, []byte("sealed-2"), now)
	if _, kept := o.tokens.Get(key); kept {
		t.Error("it is kept")
	}
}
