package federation

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// errNoToken: a successful answer has no usable token.
var errNoToken = errors.New("the answer holds no usable token")

// RefusedError is a service's refusal.
type RefusedError struct {
	Status int // HTTP status
	// Code is the code of the answer, empty without one: the "error" of RFC 6749,
	// section 5.2, from the Security Token Service (invalid_target: no such
	// provider; unauthorized_client: the provider's attribute condition does not
	// hold; invalid_grant: AWS does not know the role), or a name like
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

// refused returns the error for an answer, with the code in either form. A text that is
// not a code is dropped: it may hold a token.
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

// transient reports whether a retry may succeed. It lists the errors of the services and
// of this package; the network's, including HTTP/2's, have too many types to list.
func transient(err error) bool {
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
