package alexa

import (
	"errors"

	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// AcceptGrant is the Alexa.Authorization.AcceptGrant directive: see
// https://developer.amazon.com/docs/device-apis/alexa-authorization.html.
type AcceptGrant struct {
	MessageID    string           // directive.header.messageId
	Code         sensitive.String // directive.payload.grant.code, single use, for Login with Amazon
	GranteeToken sensitive.String // directive.payload.grantee.token, issued by the maker's own OAuth server
}

// ErrPartition is the error for an AcceptGrant of Alexa Smart Properties, whose grantee
// is a unit of a building, such as a hotel's room. One of the maker's accounts has many
// units, and an event for one would reach them all. See
// github.com/alexa-smart-properties/skill-sample-nodejs-smart-home.
var ErrPartition = errors.New("directive.payload.grantee.type: BearerTokenWithPartition, of Alexa Smart Properties, is not supported: " +
	"an event would reach every unit of the account")

// DecodeAcceptGrant decodes an AcceptGrant directive. It returns [ErrPartition] for one
// of Alexa Smart Properties, and a [FieldError] for any other fault. Unknown members are
// ignored: Amazon may add some, and its samples have shown a correlationToken.
func DecodeAcceptGrant(data []byte) (AcceptGrant, error) {
	doc, err := document(data)
	if err != nil {
		return AcceptGrant{}, err
	}
	var directive []byte
	if err := pick(doc, ignore, member{"directive", &directive}); err != nil {
		return AcceptGrant{}, err
	}
	if directive == nil {
		return AcceptGrant{}, wrong("directive", "missing")
	}
	grant, err := decodeAcceptGrant(directive)
	return grant, in("directive", err)
}

func decodeAcceptGrant(raw []byte) (AcceptGrant, error) {
	var header, payload []byte
	if err := pick(raw, ignore, member{"header", &header}, member{"payload", &payload}); err != nil {
		return AcceptGrant{}, err
	}
	if header == nil {
		return AcceptGrant{}, wrong("header", "missing")
	}
	messageID, err := decodeAcceptGrantHeader(header)
	if err != nil {
		return AcceptGrant{}, in("header", err)
	}
	if payload == nil {
		return AcceptGrant{}, wrong("payload", "missing")
	}
	var grant, grantee []byte
	if err := pick(payload, ignore, member{"grant", &grant}, member{"grantee", &grantee}); err != nil {
		return AcceptGrant{}, in("payload", err)
	}
	code, err := typedSecret("grant", grant, "OAuth2.AuthorizationCode", "code")
	if err != nil {
		return AcceptGrant{}, in("payload", err)
	}
	token, err := typedSecret("grantee", grantee, "BearerToken", "token")
	if err != nil {
		return AcceptGrant{}, in("payload", err)
	}
	return AcceptGrant{MessageID: messageID, Code: code, GranteeToken: token}, nil
}

func decodeAcceptGrantHeader(raw []byte) (messageID string, err error) {
	var namespace, name, version, id []byte
	err = pick(raw, ignore, member{"namespace", &namespace}, member{"name", &name},
		member{"payloadVersion", &version}, member{"messageId", &id})
	if err != nil {
		return "", err
	}
	for _, want := range []struct {
		name, text string
		value      []byte
	}{{"namespace", "Alexa.Authorization", namespace}, {"name", "AcceptGrant", name}, {"payloadVersion", "3", version}} {
		got, err := required(want.name, want.value)
		if err != nil {
			return "", err
		}
		if got != want.text {
			return "", wrong(want.name, "must be %q", want.text)
		}
	}
	return required("messageId", id)
}

// typedSecret decodes an object {"type": kind, secret: "…"} at the member name.
func typedSecret(name string, raw []byte, kind, secret string) (sensitive.String, error) {
	if raw == nil {
		return sensitive.String{}, wrong(name, "missing")
	}
	var typ, value []byte
	if err := pick(raw, ignore, member{"type", &typ}, member{secret, &value}); err != nil {
		return sensitive.String{}, in(name, err)
	}
	got, err := required("type", typ)
	switch {
	case err != nil || got == kind:
	case got == "BearerTokenWithPartition":
		err = ErrPartition
	default:
		err = wrong("type", "must be %q", kind)
	}
	if err != nil {
		return sensitive.String{}, in(name, err)
	}
	s, err := required(secret, value)
	return sensitive.New(s), in(name, err)
}

// AcceptGrantResponse returns the answer to an AcceptGrant directive that succeeded. Its
// payload must be empty.
func AcceptGrantResponse(messageID string) []byte {
	return appendAnswer("AcceptGrant.Response", messageID, `{}`)
}

// AcceptGrantFailed returns the answer to an AcceptGrant directive that failed. Its type
// is always ACCEPT_GRANT_FAILED; the message is for people.
func AcceptGrantFailed(messageID, message string) []byte {
	payload := appendString([]byte(`{"type":"ACCEPT_GRANT_FAILED","message":`), message)
	return appendAnswer("ErrorResponse", messageID, string(payload)+"}")
}

func appendAnswer(name, messageID, payload string) []byte {
	dst := appendString([]byte(`{"event":{"header":{"namespace":"Alexa.Authorization","name":`), name)
	dst = appendString(append(dst, `,"messageId":`...), messageID)
	dst = append(dst, `,"payloadVersion":"3"},"payload":`...)
	return append(append(dst, payload...), "}}"...)
}

// Envelope has the fields of a message to a skill's Lambda that routing needs and that
// an answer must repeat. A smart home skill gets directives; if it subscribes to skill
// events it also gets requests in the form of a custom skill's.
type Envelope struct {
	Namespace        string // directive.header.namespace
	Name             string // directive.header.name
	MessageID        string // directive.header.messageId
	CorrelationToken string // directive.header.correlationToken, opaque, often absent
	EndpointID       string // directive.endpoint.endpointId, absent from some directives
	Payload          []byte // directive.payload, unchanged
	RequestType      string // request.type of a message that is not a directive
}

// ReadEnvelope returns the fields that it can decode. It does not validate: a field that
// is absent, appears twice or has another type is left empty, and so are all fields if
// data is not one JSON object. The receiver of the message reports its faults.
func ReadEnvelope(data []byte) Envelope {
	var e Envelope
	doc, err := document(data)
	if err != nil {
		return e
	}
	var directive, request []byte
	members(doc, member{"directive", &directive}, member{"request", &request})
	if directive == nil {
		e.RequestType = textIn(request, "type")
		return e
	}
	var header, endpoint []byte
	members(directive, member{"header", &header}, member{"endpoint", &endpoint}, member{"payload", &e.Payload})
	e.Namespace, e.Name = textIn(header, "namespace"), textIn(header, "name")
	e.MessageID, e.CorrelationToken = textIn(header, "messageId"), textIn(header, "correlationToken")
	e.EndpointID = textIn(endpoint, "endpointId")
	return e
}

// HasEvent reports whether data is one JSON object with an object "event", which every
// answer to a directive has.
func HasEvent(data []byte) bool {
	doc, err := document(data)
	if err != nil {
		return false
	}
	var event []byte
	members(doc, member{"event", &event})
	return event != nil && event[0] == '{'
}

// members is pick without errors: if raw is invalid, all wanted members are left empty.
func members(raw []byte, wanted ...member) {
	if raw == nil || pick(raw, ignore, wanted...) == nil {
		return
	}
	for _, m := range wanted {
		*m.value = nil
	}
}

// textIn returns the string of that name in an object, empty if there is none.
func textIn(object []byte, name string) string {
	var value []byte
	members(object, member{name, &value})
	if value == nil {
		return ""
	}
	s, err := text(value)
	if err != nil {
		return ""
	}
	return s
}

// ErrorType is the type of an Alexa.ErrorResponse: see
// https://developer.amazon.com/docs/device-apis/alexa-errorresponse.html.
type ErrorType string

// The types that are not about a device. The types about credentials are left out on
// purpose: after a transient fault that was answered with one, Alexa has disabled the
// skill for the customer.
const (
	// BridgeUnreachable: the system between Alexa and the device does not answer.
	BridgeUnreachable ErrorType = "BRIDGE_UNREACHABLE"
	// InternalError: a failure without a better type.
	InternalError ErrorType = "INTERNAL_ERROR"
	// InvalidDirective: the skill does not support the directive.
	InvalidDirective ErrorType = "INVALID_DIRECTIVE"
)

// ErrorResponse returns the synchronous answer to a directive that failed. It repeats
// the directive's correlation token and endpoint id, if it has them, and no token of the
// customer's. The message is for people; Alexa does not show it to the customer. The
// answer to a failed AcceptGrant is [AcceptGrantFailed].
func ErrorResponse(directive Envelope, messageID string, typ ErrorType, message string) []byte {
	dst := appendString([]byte(`{"event":{"header":{"namespace":"Alexa","name":"ErrorResponse","messageId":`), messageID)
	if directive.CorrelationToken != "" {
		dst = appendString(append(dst, `,"correlationToken":`...), directive.CorrelationToken)
	}
	dst = append(dst, `,"payloadVersion":"3"}`...)
	if directive.EndpointID != "" {
		dst = appendString(append(dst, `,"endpoint":{"endpointId":`...), directive.EndpointID)
		dst = append(dst, '}')
	}
	dst = appendString(append(dst, `,"payload":{"type":`...), string(typ))
	dst = appendString(append(dst, `,"message":`...), message)
	return append(dst, `}}}`...)
}
