package federation

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// errNoToken is a success whose body holds no usable token.
var errNoToken = errors.New("the answer holds no usable token")

// RefusedError is a service's answer that is no success.
type RefusedError struct {
	Status int // of HTTP
	// Code says more, if it came: the "error" of RFC 6749, section 5.2, from
	// the Security Token Service (invalid_target: no such provider;
	// unauthorized_client: the provider's attribute condition does not hold;
	// invalid_grant: AWS does not know the role), or a name like
	// PERMISSION_DENIED from IAM Credentials.
	Code string
}

// Error names the status and the code.
func (e *RefusedError) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("refused with status %d", e.Status)
	}
	return fmt.Sprintf("refused with status %d, %s", e.Status, e.Code)
}

// refused reads the code, in whichever of the two forms. What is no code is
// dropped: it could be anything.
func refused(status int, body []byte) *RefusedError {
	e := &RefusedError{Status: status}
	var form struct{ Error json.RawMessage }
	if json.Unmarshal(body, &form) != nil {
		return e
	}
	var code string
	var detail struct{ Status string }
	if json.Unmarshal(form.Error, &code) != nil && json.Unmarshal(form.Error, &detail) == nil {
		code = detail.Status
	}
	if isCode(code) {
		e.Code = code
	}
	return e
}

// passing reports whether the same request may succeed in a moment. What the
// network does wrong comes in too many types to list them, HTTP/2's among them;
// what a service or this program says on purpose does not.
func passing(err error) bool {
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		return refused.Status >= 500 || refused.Status == http.StatusTooManyRequests
	}
	return !errors.Is(err, errNoToken) && !errors.Is(err, errNoRole)
}

func isCode(s string) bool {
	for _, c := range []byte(s) {
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return len(s) <= 40
}
