package access

import (
	"bytes"
	"time"

	"github.com/gatepostdev/gatepost/shared/cache"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// openedTime is how long an access token that was opened is remembered.
const openedTime = time.Minute

// opened remembers access tokens that were opened a short time ago, so that a
// customer's events do not each open the same one. It gives out nothing that
// opening would not: what is stored, the sealed token, has to be the same. The
// zero value is ready.
type opened struct {
	tokens cache.Cache[openedKey, openedToken]
}

type openedKey struct {
	customer grant.Key
	grant    string
}

type openedToken struct {
	sealed []byte // of a record, where nobody changes it
	access sensitive.String
	until  time.Time
}

// find returns the token that sealed holds, if it was opened within the last
// minute.
func (o *opened) find(key openedKey, sealed []byte, now time.Time) (sensitive.String, bool) {
	token, ok := o.tokens.Get(key)
	if !ok {
		return sensitive.String{}, false
	}
	if !now.Before(token.until) || !bytes.Equal(token.sealed, sealed) {
		o.tokens.Remove(key)
		return sensitive.String{}, false
	}
	return token.access, true
}

func (o *opened) note(key openedKey, sealed []byte, access sensitive.String, now time.Time) {
	o.tokens.Put(key, openedToken{sealed: sealed, access: access, until: now.Add(openedTime)})
}
