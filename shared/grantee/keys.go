package grantee

import (
	"encoding/json"

	"github.com/go-jose/go-jose/v4"
)

// certificates are the members of a key that name its certificate. They are not used
// here, and go-jose refuses a key whose certificate is malformed.
var certificates = []string{"x5c", "x5t", "x5t#S256", "x5u"}

// usableKeys returns a key set with the keys that go-jose reads, without their
// certificates. The others are skipped, as RFC 7517, section 5, asks: go-oidc
// would give up the whole set for one of them.
func usableKeys(body []byte) (usable []byte, fault string) {
	set, ok := decode(body)
	var published []json.RawMessage
	if !ok || !set.has("keys") || json.Unmarshal(set["keys"], &published) != nil {
		return nil, "the answer is no key set"
	}
	keys := make([]object, 0, len(published))
	for _, raw := range published {
		key, _ := decode(raw)
		for _, name := range certificates {
			delete(key, name)
		}
		bare, _ := json.Marshal(key) // of raw JSON: it cannot fail
		if new(jose.JSONWebKey).UnmarshalJSON(bare) == nil {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, "the key set has no key that can be read"
	}
	usable, _ = json.Marshal(map[string][]object{"keys": keys})
	return usable, ""
}
