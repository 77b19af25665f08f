// Package lwa is the client of Login with Amazon's token endpoint: it exchanges the
// authorization code of an AcceptGrant for tokens, and refreshes them.
//
// Requests are form-encoded and carry no redirect_uri: see
// https://developer.amazon.com/docs/smarthome/authenticate-a-customer-permissions.html.
// A failed call returns an [Error], whose kind is one of the package's Err values. Only
// [ErrInvalidGrant], in answer to a refresh, means that a grant may be gone; every
// other kind is about this client or about Amazon.
//
// The package stores nothing, and does not decide on the state of a grant.
package lwa
