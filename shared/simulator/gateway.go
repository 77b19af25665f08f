package simulator

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// maxEventBytes is Amazon's limit for an AddOrUpdateReport. The limit for a ChangeReport
// is not documented.
const maxEventBytes = 256 << 10

// serveEvent serves POST /v3/events at the gateway of a region: see
// https://developer.amazon.com/docs/smarthome/send-events.html.
func (s *Simulator) serveEvent(w http.ResponseWriter, r *http.Request, region alexa.Region) {
	body, whole := readBody(r, maxEventBytes)
	e := readEvent(body)
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	h := s.ledger.holderOf(accessPrefix, token)
	seen := Request{
		Time: s.options.Now(), Target: Gateway(region), Region: region,
		Namespace: text(e.header, "namespace"), Name: text(e.header, "name"),
		MessageID: text(e.header, "messageId"), CorrelationToken: text(e.header, "correlationToken"),
		EndpointID: text(e.endpoint, "endpointId"),
		Body:       shownEvent(body, token, e),
	}
	if h != nil {
		seen.User = h.user
	}
	s.handle(w, r, seen, func(Fault) answer {
		refusal := s.judgeSender(r, h, region)
		if refusal == nil && !whole {
			refusal = &wrong{TooLarge, known[TooLarge].description, "the body is larger than 256 KB"}
		}
		if refusal == nil {
			refusal = e.judge(token)
		}
		if refusal != nil {
			return refuse(seen.Target, refusal.code, refusal.description, refusal.reason)
		}
		s.states.apply(h.account, e)
		return answer{status: http.StatusAccepted, accepted: true}
	})
}

// wrong is the gateway's refusal of an event.
type wrong struct{ code, description, reason string }

// judgeSender checks the headers, and whether the token belongs to a customer who has
// enabled the skill in this region.
func (s *Simulator) judgeSender(r *http.Request, h *holder, region alexa.Region) *wrong {
	badToken := func(reason string) *wrong {
		return &wrong{InvalidAccessToken, known[InvalidAccessToken].description, reason}
	}
	noSkill := func(reason string) *wrong {
		return &wrong{SkillDisabled, known[SkillDisabled].description, reason}
	}
	if h == nil {
		return badToken(`the Authorization header is not "Bearer " and an access token of this simulator`)
	}
	standing := s.ledger.standing(h, s.options.Now())
	switch {
	case standing == expired:
		return badToken("the access token has expired")
	case h.region != region:
		return noSkill("the token is of region " + string(h.region) + ": its customer has not enabled the skill here")
	case standing == disabled:
		return noSkill("the customer disabled the skill")
	case mediaType(r) != "application/json":
		return malformed("the Content-Type is not application/json")
	}
	return nil
}

// tokenLike matches Amazon's tokens in a body that cannot be decoded.
var tokenLike = regexp.MustCompile(`Atz[ar](\||\\u007[cC])[^"\s]*`)

// shownEvent returns a body for the record, without its tokens: the header's, the scopes'
// in any escaping, and any other text that looks like one.
func shownEvent(body []byte, token string, e event) string {
	for _, scope := range []object{e.endpointScope, e.payloadScope} {
		inBody := text(scope, "token")
		if !bytes.Contains(body, []byte(inBody)) {
			body = unescaped(body)
		}
		body = redact(body, inBody)
	}
	body = redact(body, token)
	if bytes.Contains(body, []byte("Atz")) {
		body = tokenLike.ReplaceAll(body, []byte(sensitive.Redacted))
	}
	return string(body)
}

// redact replaces a secret in a body.
func redact(body []byte, secret string) []byte {
	if secret == "" {
		return body
	}
	return bytes.ReplaceAll(body, []byte(secret), []byte(sensitive.Redacted))
}

// unescaped returns JSON without optional escapes. A body that is not JSON is returned
// unchanged.
func unescaped(body []byte) []byte {
	var tree any
	if json.Unmarshal(body, &tree) != nil {
		return body
	}
	var plain bytes.Buffer
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(tree) != nil {
		return body
	}
	return plain.Bytes()
}
