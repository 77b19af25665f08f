// Package lwa is the client of Login with Amazon's token endpoint: it
// exchanges the authorization code of an AcceptGrant for tokens, and refreshes
// them.
//
// Requests are form-encoded and carry no redirect_uri, as
// https://developer.amazon.com/docs/smarthome/authenticate-a-customer-permissions.html
// asks. A failed call returns an [Error], whose kind is one of the package's
// Err values. Only [ErrInvalidGrant], in answer to a refresh, means that a
// grant is gone; every other kind says something about us or about Amazon.
//
// The package refuses to store anything and to decide what becomes of a grant.
package lwa
