package access

import (
	"bytes"
	"time"

	"github.com/gatepostdev/gatepost/shared/cache"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// openedTime is how long an opened access token is cached.
const openedTime = time.Minute

// opened caches opened access tokens, so that a customer's events do not each open the
// same one. A cached token is used only while the sealed one in the record is the
// same. The zero value is ready to use.
type opened struct {
	tokens cache.Cache[openedKey, openedToken]
}

type openedKey struct {
	customer grant.Key
	grant    string
}

type openedToken struct {
	sealed []byte // the record's own, which is never changed in place
	access sensitive.String
	until  time.Time
}

// find returns the token that sealed holds, if it is cached.
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
