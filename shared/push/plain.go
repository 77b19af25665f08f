package push

import (
	"bytes"
	"encoding/base64"
	"time"
)

// decodePlain is decodeJSON for bodies in the form that Pub/Sub writes: known
// members, each once, and strings without escapes. It takes a fifth of the time.
// What is in any other form it leaves to decodeJSON, which also says what is
// wrong with it; ok is false then.
func decodePlain(body []byte) (m Message, ok bool) {
	p := plain{rest: body}
	var seen members
	p.object(func(name []byte) {
		p.odd = p.odd || !seen.first(name)
		switch string(name) {
		case "message":
			p.message(&m)
		case "subscription":
			m.Subscription = string(p.string())
		case "deliveryAttempt":
			m.Attempt = p.number()
		default:
			p.odd = true
		}
	})
	p.space()
	return m, !p.odd && len(p.rest) == 0 && m.ID != ""
}

func (p *plain) message(m *Message) {
	var seen members
	p.object(func(name []byte) {
		p.odd = p.odd || !seen.first(name)
		switch string(name) {
		case "messageId":
			m.ID = string(p.string())
		case "data":
			m.Data = p.base64()
		case "attributes":
			m.Attributes = make(map[string]string)
			p.object(func(name []byte) { m.Attributes[string(name)] = string(p.string()) })
		case "publishTime":
			m.PublishTime = p.time()
		case "orderingKey":
			m.OrderingKey = string(p.string())
		case "message_id", "publish_time": // the same again
			p.string()
		default:
			p.odd = true
		}
	})
}

// plain reads JSON of which only a part is understood.
type plain struct {
	rest []byte // what is not read yet
	odd  bool   // it went on with something that is not understood; what was read means nothing
}

// members are the names that an object had so far.
type members struct {
	names [8][]byte
	n     int
}

// first reports whether a name comes for the first time. An object with more
// members than are known is not one of those read here.
func (s *members) first(name []byte) bool {
	for _, other := range s.names[:s.n] {
		if bytes.Equal(name, other) {
			return false
		}
	}
	if s.n == len(s.names) {
		return false
	}
	s.names[s.n] = name
	s.n++
	return true
}

func (p *plain) space() {
	for len(p.rest) > 0 && (p.rest[0] == ' ' || p.rest[0] == '\n' || p.rest[0] == '\r' || p.rest[0] == '\t') {
		p.rest = p.rest[1:]
	}
}

// next moves over c and reports whether it came next.
func (p *plain) next(c byte) bool {
	p.space()
	if len(p.rest) == 0 || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *plain) want(c byte) { p.odd = !p.next(c) || p.odd }

// object calls member with the name of each member of an object; it reads the
// value.
func (p *plain) object(member func(name []byte)) {
	p.want('{')
	if p.next('}') {
		return
	}
	for !p.odd {
		name := p.string()
		p.want(':')
		member(name)
		if p.next('}') {
			return
		}
		p.want(',')
	}
}

// string returns what is between the quotes.
func (p *plain) string() []byte {
	p.want('"')
	for i, c := range p.rest {
		switch {
		case c == '"':
			s := p.rest[:i]
			p.rest = p.rest[i+1:]
			return s
		case c < ' ', c == '\\', c >= 0x80:
			p.odd = true
			return nil
		}
	}
	p.odd = true
	return nil
}

func (p *plain) base64() []byte {
	text := p.string()
	data := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(data, text)
	p.odd = p.odd || err != nil
	return data[:n]
}

func (p *plain) time() (t time.Time) {
	p.odd = t.UnmarshalText(p.string()) != nil || p.odd
	return t
}

// number reads a whole number that is not negative, and small.
func (p *plain) number() (n int) {
	p.space()
	digits := 0
	for ; digits < len(p.rest) && '0' <= p.rest[digits] && p.rest[digits] <= '9'; digits++ {
		n = 10*n + int(p.rest[digits]-'0')
	}
	if digits == 0 || digits > 9 || p.rest[0] == '0' {
		p.odd = true
	}
	p.rest = p.rest[digits:]
	return n
}
