package main

import (
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// filter says which dead letters are meant. The zero filter selects all.
type filter struct {
	reason, code, customer string
	region                 alexa.Region
	since, until           time.Time // first publish times, the first included and the second not
}

func (f filter) selects(l letter) bool {
	return (f.reason == "" || f.reason == l.reason) &&
		(f.code == "" || f.code == l.code) &&
		(f.customer == "" || f.customer == l.customer) &&
		(f.region == "" || string(f.region) == l.region) &&
		(f.since.IsZero() || !l.published.Before(f.since)) &&
		(f.until.IsZero() || l.published.Before(f.until))
}
