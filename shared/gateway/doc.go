// Package gateway sends events to the Alexa event gateway of one region.
//
// A [Client] makes one attempt for each call and turns the answer into nil or
// an [Error], whose kind is one of the package's Err values:
//
//	_, err := client.Send(ctx, token, body)
//	if errors.Is(err, gateway.ErrInvalidAccessToken) { … }
//
// What the gateway says in payload.code decides; the HTTP status counts only
// where there is no code that this package knows. Answers may be empty, cut
// off or a proxy's HTML page; none of that is an error of its own.
//
// The package refuses to resend, to refresh tokens and to know what an event
// is: that is delivery's work. Sources for the codes: Amazon's page
// https://developer.amazon.com/docs/smarthome/send-events.html and the errors
// that makers have reported publicly since 2018.
package gateway
