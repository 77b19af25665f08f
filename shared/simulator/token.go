package simulator

import (
	"crypto/rand"
	"crypto/sha3"
	"encoding/base64"
	"encoding/binary"
	"strings"
)

// Tokens look like Amazon's in what matters to a client: the prefix, a length
// of more than 350 characters, and characters that an unescaped form body
// breaks. Every token has |, +, / and =.
const (
	accessPrefix  = "Atza|fake+/"
	refreshPrefix = "Atzr|fake+/"

	claimBytes = 4 * 8
	sealBytes  = 234 // so that a token is 367 characters long
)

// claim is what a token stands for. It is written inside the token, so that
// the simulator need not remember tokens: its memory does not grow with the
// number of refreshes, and a refresh token that was rotated away an hour ago is
// still told from one that never existed.
type claim struct {
	grant      uint64 // index in the ledger
	serial     uint64 // no two tokens have the same
	generation uint64 // of the grant's access tokens
	expires    uint64 // Unix milliseconds, of access tokens only
}

// mint makes tokens and recognizes its own.
type mint struct{ key [32]byte }

func newMint() mint {
	var m mint
	_, _ = rand.Read(m.key[:]) // never fails
	return m
}

// issue writes a claim as a token. The same claim gives the same token.
func (m mint) issue(prefix string, c claim) string {
	raw := make([]byte, 0, claimBytes+sealBytes)
	for _, n := range []uint64{c.grant, c.serial, c.generation, c.expires} {
		raw = binary.BigEndian.AppendUint64(raw, n)
	}
	raw = append(raw, m.seal(prefix, raw)...)
	return prefix + base64.StdEncoding.EncodeToString(raw)
}

// seal is a keyed hash, long enough to fill the token. SHA-3 needs no HMAC.
func (m mint) seal(prefix string, claim []byte) []byte {
	keyed := append(m.key[:len(m.key):len(m.key)], prefix...)
	return sha3.SumSHAKE256(append(keyed, claim...), sealBytes)
}

// read returns the claim of a token that this mint issued under the prefix. A
// token changed in a single character is not one.
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
