package access

import (
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// TestOpened: a decrypted token is cached for the same sealed token of the same
// grant, for a minute. An entry that is no longer returned is dropped.
func TestOpened(t *testing.T) {
	t.Parallel()
	start, token := time.Unix(1000, 0), sensitive.New("Atza|fake-1")
	mine := openedKey{customer: grant.Key{Skill: "default", UserID: "u-1"}, grant: "g-1"}
	for name, test := range map[string]struct {
		key    openedKey
		sealed string
		after  time.Duration
		want   bool
		kept   bool
	}{
		"the same":                  {mine, "sealed-1", time.Minute - 1, true, true},
		"a minute later":            {mine, "sealed-1", time.Minute, false, false},
		"refreshed, or sealed anew": {mine, "sealed-2", 0, false, false},
		"another customer's":        {openedKey{grant.Key{Skill: "default", UserID: "u-2"}, "g-1"}, "sealed-1", 0, false, true},
		"another skill's":           {openedKey{grant.Key{Skill: "other", UserID: "u-1"}, "g-1"}, "sealed-1", 0, false, true},
		"another grant's":           {openedKey{mine.customer, "g-2"}, "sealed-1", 0, false, true},
	} {
		var o opened
		o.note(mine, []byte("sealed-1"), token, start)
		got, ok := o.find(test.key, []byte(test.sealed), start.Add(test.after))
		if _, kept := o.tokens.Get(mine); ok != test.want || ok != got.Equal(token) || kept != test.kept {
			t.Errorf("%s: found, kept = %t, %t, want %t, %t", name, ok, kept, test.want, test.kept)
		}
	}
}
