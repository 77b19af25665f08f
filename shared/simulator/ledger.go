package simulator

import (
	"crypto/rand"
	"crypto/sha3"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// account is one Amazon user in one region.
type account struct {
	region alexa.Region
	user   string
}

// grant is one enablement of the skill: a code, and the tokens that were issued for it.
// The first two fields never change; the ledger's lock guards the others.
type grant struct {
	account
	client string // the client id that it was issued to

	disabled   bool
	generation uint64         // access tokens of an older generation have expired
	current    uint64         // serial of the current refresh token
	retired    []retiredToken // rotated tokens that are still in their grace
}

// retiredToken is a refresh token that was rotated.
type retiredToken struct {
	serial uint64
	until  time.Time
}

// pendingCode is a code that has not been exchanged.
type pendingCode struct {
	grant   uint64
	expires time.Time
}

// ledger holds the grants. It grows only with the number of enablements.
type ledger struct {
	options Options
	mint    mint

	mu        sync.Mutex
	grants    []*grant // a token names its grant by the index
	accounts  map[account][]*grant
	codes     map[string]pendingCode
	codeOrder []string // in the order of their expiry
	serial    uint64
}

func newLedger(options Options) *ledger {
	return &ledger{
		options:  options,
		mint:     newMint(),
		accounts: make(map[account][]*grant),
		codes:    make(map[string]pendingCode),
	}
}

// enable adds a grant and returns its code.
func (l *ledger) enable(who account, now time.Time) string {
	// Amazon's codes have been seen with 19 to 23 letters and digits.
	code := "ANfake" + rand.Text()[:17]
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forgetCodes(now)
	g := &grant{account: who, client: l.options.Clients[0].ID}
	l.codes[code] = pendingCode{grant: uint64(len(l.grants)), expires: now.Add(l.options.CodeLifetime)}
	l.codeOrder = append(l.codeOrder, code)
	l.grants = append(l.grants, g)
	l.accounts[who] = append(l.accounts[who], g)
	return code
}

// forgetCodes removes codes that were used or have expired.
func (l *ledger) forgetCodes(now time.Time) {
	for len(l.codeOrder) > 0 {
		oldest := l.codeOrder[0]
		if pending, ok := l.codes[oldest]; ok && now.Before(pending.expires) {
			return
		}
		delete(l.codes, oldest)
		l.codeOrder = l.codeOrder[1:]
	}
}

// disable revokes all grants of an account.
func (l *ledger) disable(who account) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range l.accounts[who] {
		g.disabled = true
	}
	return len(l.accounts[who]) > 0
}

// expire expires the access tokens of an account.
func (l *ledger) expire(who account) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range l.accounts[who] {
		g.generation++
	}
	return len(l.accounts[who]) > 0
}

// users returns the users who ever enabled the skill in a region.
func (l *ledger) users(region alexa.Region) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for who := range l.accounts {
		if who.region == region {
			all = append(all, who.user)
		}
	}
	slices.Sort(all)
	return all
}

// holder is the grant and the claim of a presented token or code.
type holder struct {
	*grant
	claim claim
}

// holderOf returns the holder of a token, even of an invalid one; nil if the simulator
// never issued it.
func (l *ledger) holderOf(prefix, token string) *holder {
	c, ok := l.mint.read(prefix, token)
	if !ok {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return &holder{grant: l.grants[c.grant], claim: c}
}

// holderOfCode returns the holder of a code that has not been exchanged.
func (l *ledger) holderOfCode(code string) *holder {
	l.mu.Lock()
	defer l.mu.Unlock()
	pending, ok := l.codes[code]
	if !ok {
		return nil
	}
	return &holder{grant: l.grants[pending.grant], claim: claim{grant: pending.grant}}
}

// standing is the state of an access token.
type standing int

const (
	valid standing = iota
	expired
	disabled
)

// standing returns the state of an access token. An expired token of a disabled skill is
// expired: the gateway checks the token before the skill.
func (l *ledger) standing(h *holder, now time.Time) standing {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case h.claim.generation != h.generation, uint64(now.UnixMilli()) >= h.claim.expires:
		return expired
	case h.disabled:
		return disabled
	}
	return valid
}

// tokens is an issued pair.
type tokens struct{ access, refresh string }

// exchange returns the tokens for a code, once.
func (l *ledger) exchange(code, clientID string, now time.Time) (tokens, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	pending, ok := l.codes[code]
	if !ok || !now.Before(pending.expires) {
		return tokens{}, false
	}
	g := l.grants[pending.grant]
	if g.disabled || g.client != clientID {
		return tokens{}, false
	}
	delete(l.codes, code)
	return l.issue(pending.grant, g, now, true), true
}

// refresh returns the tokens for a refresh token. With rotate false the refresh token
// stays the current one. It also reports whether the token was rotated before.
func (l *ledger) refresh(h *holder, clientID string, now time.Time, rotate bool) (issued tokens, ok, rotatedAway bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	rotatedAway = h.claim.serial != h.current
	if h.disabled || h.client != clientID || rotatedAway && !h.inGrace(h.claim.serial, now) {
		return tokens{}, false, rotatedAway
	}
	return l.issue(h.claim.grant, h.grant, now, rotate), true, rotatedAway
}

// inGrace reports whether a rotated refresh token still works.
func (g *grant) inGrace(serial uint64, now time.Time) bool {
	return slices.ContainsFunc(g.retired, func(old retiredToken) bool {
		return old.serial == serial && now.Before(old.until)
	})
}

// rotate replaces the current refresh token.
func (g *grant) rotate(serial uint64, now time.Time, grace time.Duration) {
	g.retired = slices.DeleteFunc(g.retired, func(old retiredToken) bool { return !now.Before(old.until) })
	if g.current != 0 && grace > 0 {
		g.retired = append(g.retired, retiredToken{g.current, now.Add(grace)})
	}
	g.current = serial
}

// issue returns a pair of tokens, with a new refresh token if rotate is true.
func (l *ledger) issue(index uint64, g *grant, now time.Time, rotate bool) tokens {
	if rotate {
		l.serial++
		g.rotate(l.serial, now, l.options.OldRefreshTokenGrace)
	}
	l.serial++
	return tokens{
		access: l.mint.issue(accessPrefix, claim{
			grant: index, serial: l.serial, generation: g.generation,
			expires: uint64(now.Add(l.options.TokenLifetime).UnixMilli()),
		}),
		refresh: l.mint.issue(refreshPrefix, claim{grant: index, serial: g.current}),
	}
}

// Tokens resemble Amazon's where it matters to a client: they have the prefix, more than
// 350 characters, and characters that break an unescaped form body. Every token has |,
// +, / and =.
const (
	accessPrefix  = "Atza|fake+/"
	refreshPrefix = "Atzr|fake+/"

	claimBytes = 4 * 8
	sealBytes  = 234 // so that a token is 367 characters long
)

// claim is the content of a token. The token carries it, so that the simulator need not
// store tokens: its memory does not grow with the number of refreshes, and it can
// distinguish a refresh token that was rotated an hour ago from one that never existed.
type claim struct {
	grant      uint64 // index in the ledger
	serial     uint64 // unique to each token
	generation uint64 // of the grant's access tokens
	expires    uint64 // Unix milliseconds, of access tokens only
}

// mint issues tokens and recognizes its own.
type mint struct{ key [32]byte }

func newMint() mint {
	var m mint
	_, _ = rand.Read(m.key[:]) // never fails
	return m
}

// issue returns the token of a claim. The same claim gives the same token.
func (m mint) issue(prefix string, c claim) string {
	raw := make([]byte, 0, claimBytes+sealBytes)
	for _, n := range []uint64{c.grant, c.serial, c.generation, c.expires} {
		raw = binary.BigEndian.AppendUint64(raw, n)
	}
	raw = append(raw, m.seal(prefix, raw)...)
	return prefix + base64.StdEncoding.EncodeToString(raw)
}

// seal returns a keyed hash, long enough to fill the token. SHA-3 needs no HMAC.
func (m mint) seal(prefix string, claim []byte) []byte {
	keyed := append(m.key[:len(m.key):len(m.key)], prefix...)
	return sha3.SumSHAKE256(append(keyed, claim...), sealBytes)
}

// read returns the claim of a token that this mint issued with the prefix. It refuses a
// token with a single changed character.
func (m mint) read(prefix, token string) (claim, bool) {
	encoded, ok := strings.CutPrefix(token, prefix)
	if !ok {
		return claim{}, false
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(raw) != claimBytes+sealBytes {
		return claim{}, false
	}
	c := claim{
		grant:      binary.BigEndian.Uint64(raw[0:]),
		serial:     binary.BigEndian.Uint64(raw[8:]),
		generation: binary.BigEndian.Uint64(raw[16:]),
		expires:    binary.BigEndian.Uint64(raw[24:]),
	}
	return c, token == m.issue(prefix, c)
}
