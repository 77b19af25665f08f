package delivery

import (
	"strconv"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// partSizes are how many endpoints one discovery report names: the gateway has
// answered 500 to a DeleteReport with 134, and takes thirty; of an
// AddOrUpdateReport Amazon's pages say what it takes.
var partSizes = map[string]int{"DeleteReport": 30, "AddOrUpdateReport": alexa.MaxEndpoints}

// part is an event, or the piece of one that is small enough to be taken.
// Pieces have names, so that each has the same message id however often the
// event is taken apart.
type part struct {
	whole     *alexa.Event
	endpoints alexa.Endpoints // of the piece
	piece     bool
	name      string
}

// parts takes an event apart that is known to be too large as a whole.
func parts(e *alexa.Event) []part {
	all := e.Endpoints()
	n, size := all.Len(), partSizes[e.Header.Name]
	if n <= size || size == 0 {
		return []part{{whole: e, endpoints: all}}
	}
	var list []part
	for from := 0; from < n; from += size {
		list = append(list, part{whole: e, endpoints: all.Part(from, min(from+size, n)), piece: true, name: strconv.Itoa(from)})
	}
	return list
}

// event makes the part's event. A piece is made when it is sent, and not kept:
// all pieces together may be much larger than the whole.
func (p part) event() alexa.Event {
	if !p.piece {
		return *p.whole
	}
	return p.whole.WithEndpoints(p.endpoints)
}

// halves takes a part apart that the gateway found too large. One that names
// a single endpoint, or none, has no halves.
func (p part) halves() []part {
	n := p.endpoints.Len()
	if n < 2 {
		return nil
	}
	return []part{
		{whole: p.whole, endpoints: p.endpoints.Part(0, n/2), piece: true, name: p.name + "a"},
		{whole: p.whole, endpoints: p.endpoints.Part(n/2, n), piece: true, name: p.name + "b"},
	}
}
