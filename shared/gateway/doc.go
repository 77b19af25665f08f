// Package gateway sends events to the Alexa event gateway of one region.
//
// A [Client] makes one attempt per call. A refused or failed attempt is an [Error],
// whose kind is one of the package's Err values:
//
//	_, err := client.Send(ctx, token, body)
//	if errors.Is(err, gateway.ErrInvalidAccessToken) { … }
//
// The answer's payload.code determines the kind; the HTTP status does so only if the
// code is absent or unknown. The body of a refusal may be empty, cut off or a proxy's
// HTML page; then the status decides as well.
//
// The package does not resend, refresh tokens or interpret events: package delivery
// does. The codes come from Amazon's page
// https://developer.amazon.com/docs/smarthome/send-events.html and from errors that
// makers have reported publicly since 2018.
package gateway
