package alexa

// ErrorType is the type of an Alexa.ErrorResponse, see
// https://developer.amazon.com/docs/device-apis/alexa-errorresponse.html.
type ErrorType string

// The types that say nothing about a device. Those about credentials are left
// out on purpose: Alexa has been seen to disable a skill for a customer to
// whom they were given for a passing fault.
const (
	// BridgeUnreachable: what stands between Alexa and the device does not answer.
	BridgeUnreachable ErrorType = "BRIDGE_UNREACHABLE"
	// InternalError: something failed for which there is no better type.
	InternalError ErrorType = "INTERNAL_ERROR"
	// InvalidDirective: the skill does not support the directive.
	InvalidDirective ErrorType = "INVALID_DIRECTIVE"
)

// ErrorResponse is the synchronous answer to a directive that could not be
// carried out. It repeats the directive's correlation token and endpoint id,
// if it has any, and no token of the customer's. The message is for people;
// Alexa does not show it to the customer. A failed AcceptGrant is answered by
// [AcceptGrantFailed] instead.
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
