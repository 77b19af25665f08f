package delivery

import (
	"strconv"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// removalPart is how many endpoints one DeleteReport names: the gateway has
// answered 500 to one with 134, and takes thirty.
const removalPart = 30

// part is an event, or the piece of one that is small enough to be taken.
// Pieces have names, so that each has the same message id however often the
// event is taken apart.
type part struct {
	alexa.Event
	name string
}

// parts takes an event apart that is known to be too large as a whole.
func parts(e alexa.Event) []part {
	n := len(e.Endpoints())
	if e.Header.Name != "DeleteReport" || n <= removalPart {
		return []part{{Event: e}}
	}
	var list []part
	for from := 0; from < n; from += removalPart {
		list = append(list, part{Event: e.WithEndpoints(from, min(from+removalPart, n)), name: strconv.Itoa(from)})
	}
	return list
}

// halves takes a part apart that the gateway found too large. One that names
// a single endpoint, or none, has no halves.
func (p part) halves() []part {
	n := len(p.Endpoints())
	if n < 2 {
		return nil
	}
	return []part{
		{Event: p.WithEndpoints(0, n/2), name: p.name + "a"},
		{Event: p.WithEndpoints(n/2, n), name: p.name + "b"},
	}
}
