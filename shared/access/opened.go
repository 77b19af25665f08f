package access

import (
	"bytes"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

const (
	// openedTime is how long an access token that was opened is remembered.
	openedTime = time.Minute
	// openedKept is how many are.
	openedKept = 10_000
)

// opened remembers access tokens that were opened a short time ago, so that a
// customer's events do not each open the same one. It gives out nothing that
// opening would not: what is stored, the sealed token, has to be the same. The
// zero value is ready.
type opened struct {
	mu     sync.Mutex
	tokens *lru.Cache[openedKey, openedToken]
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
	o.mu.Lock()
	defer o.mu.Unlock()
	token, ok := o.known().Get(key)
	if !ok {
		return sensitive.String{}, false
	}
	if !now.Before(token.until) || !bytes.Equal(token.sealed, sealed) {
		o.known().Remove(key)
		return sensitive.String{}, false
	}
	return token.access, true
}

func (o *opened) note(key openedKey, sealed []byte, access sensitive.String, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.known().Add(key, openedToken{sealed: sealed, access: access, until: now.Add(openedTime)})
}

// known returns the cache; the caller holds the lock.
func (o *opened) known() *lru.Cache[openedKey, openedToken] {
	if o.tokens == nil {
		o.tokens, _ = lru.New[openedKey, openedToken](openedKept) // fails for sizes below 1 only
	}
	return o.tokens
}
