package lwa

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"strconv"
)

// maxAnswer is how much of an answer is read. Amazon's are a few KiB.
const maxAnswer = 1 << 20

// lenient is a transport that normalizes the token endpoint's answers for the oauth2
// package: they are JSON whatever their Content-Type, and each member has its expected
// type. Login with Amazon issues tokens once; an unexpected form is no reason to lose
// them.
type lenient struct{ next http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (l lenient) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := cmp.Or(l.next, http.DefaultTransport).RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if resp.Header == nil {
		resp.Header = make(http.Header)
	}
	resp.Header.Set("Content-Type", "application/json")
	resp.Body = io.NopCloser(bytes.NewReader(normal(body)))
	return resp, nil
}

// normal returns the body with each member in its expected type. A token that is not
// a string is dropped, an error that is not a string becomes an unknown error, and the
// lifetime becomes a whole number of seconds. A body that is not a JSON object is
// returned unchanged.
func normal(body []byte) []byte {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return body
	}
	for _, name := range []string{"access_token", "refresh_token", "token_type", "error", "error_description", "error_uri"} {
		value, found := members[name]
		if text := ""; !found || json.Unmarshal(value, &text) == nil {
			continue
		}
		delete(members, name)
		if name == "error" {
			members[name] = json.RawMessage(`"no text"`)
		}
	}
	var lifetime json.Number
	_ = json.Unmarshal(members["expires_in"], &lifetime)
	delete(members, "expires_in")
	if seconds, err := lifetime.Float64(); err == nil {
		members["expires_in"] = strconv.AppendInt(nil, int64(max(0, min(seconds, math.MaxInt32))), 10)
	}
	normalized, _ := json.Marshal(members) // raw JSON always encodes
	return normalized
}
