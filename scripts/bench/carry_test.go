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

// TestOutageOfTheGateway: while the gateway is down there are few calls of it, and when
// it is back what is still new enough is delivered within minutes. That the lost reports
// are repeated takes longer: functions/outage has a test of it.
func TestOutageOfTheGateway(t *testing.T) {
	t.Parallel()
	o := &outage{rate: 10, instances: 1, customers: 100, endpoints: 5, takes: 100 * time.Millisecond,
		down: 8 * time.Minute, watch: 3 * time.Minute, step: time.Minute}
	synctest.Test(t, func(t *testing.T) {
		found, err := o.simulate(io.Discard)
		if err != nil || found.lost != 0 || found.waiting > 2*o.rate || found.calls == 0 || found.calls > 150 {
			t.Errorf("outage = %+v, %v, want no lost report, few that wait, and 150 calls while it was down at most", found, err)
		}
	})
}
