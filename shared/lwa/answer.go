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

// lenient is a transport that makes answers of the token endpoint such that the
// oauth2 package reads them: JSON whatever the Content-Type says, and members that
// are text or a number as they should be. Tokens are given once, and a form that
// nobody expects is no reason to lose them.
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

// normal is an answer whose members have the types that they should have. A token
// of another type is absent, an error of another type an unknown one, and a
// lifetime a whole number of seconds. What is no JSON object is left as it is.
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
	normalized, err := json.Marshal(members)
	if err != nil { // of nothing that was read
		return body
	}
	return normalized
}
