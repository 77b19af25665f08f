// Package retryafter reads the Retry-After header of an answer (RFC 9110,
// section 10.2.3).
package retryafter

import (
	"net/http"
	"strconv"
	"time"
)

// Parse returns how long the sender of the header wants to be left alone, 0 if
// it does not say. The header's date form is measured against the Date of the
// same answer, so that this machine's clock plays no part. It sets no upper
// bound: that is the caller's to decide.
func Parse(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	sent, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return max(0, until.Sub(sent))
}
