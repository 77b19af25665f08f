package main

import (
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// TestOutageOfLoginWithAmazon: an outage of ten minutes leaves no customer without a token,
// whether Login with Amazon refuses or does not answer. In the second case the sweeps
// have a pause of two and a half minutes, in which an event refreshes its own token.
func TestOutageOfLoginWithAmazon(t *testing.T) {
	t.Parallel()
	for name, hangs := range map[string]bool{"refuses": false, "hangs": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &carrying{customers: 256_000, shards: 256, databaseWrites: databaseWrites, period: time.Minute, lwa: 200 * time.Millisecond,
				write: 15 * time.Millisecond, query: 50 * time.Millisecond, outage: 10 * time.Minute, watch: 10 * time.Minute, step: 5 * time.Minute,
				hangs: hangs}
			synctest.Test(t, func(t *testing.T) {
				found, err := c.simulate(io.Discard)
				if err != nil || found.ended != 0 || !hangs && found.endedLater != 0 || found.caughtUp == 0 || found.caughtUp > 3*time.Minute {
					t.Errorf("outage = %+v, %v, want no customer without a token, and all refreshed within three minutes", found, err)
				}
			})
		})
	}
}
