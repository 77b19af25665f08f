package transport

import (
	"net/http"
	"strconv"
	"time"
)

// RetryAfter returns the delay that a Retry-After header asks for (RFC 9110,
// section 10.2.3), 0 without one. The header's date form is measured against the Date of the
// same answer, so that this machine's clock plays no part. It sets no upper
// bound: that is the caller's to decide.
func RetryAfter(h http.Header) time.Duration {
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
