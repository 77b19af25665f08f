// Package access gives out access tokens of grants that may be used now.
//
// An access token lives an hour, and Login with Amazon may end the old refresh
// token with each refresh, so that two refreshes of one grant at once can lose
// it. A [Source] therefore lets one refresh run at a time: within a process
// callers share one flight, and across processes the grant's lease, a
// conditional write, decides who asks Login with Amazon while the others read
// the record again until the new token is there.
//
// What Login with Amazon gave is saved before it is used, and saved even if
// the request that asked for it has ended meanwhile. A refresh answered with
// invalid_grant is the one proof that a grant is gone; the Source then revokes
// it and returns [ErrRevoked]. Every other failure leaves the grant as it is.
//
// The package refuses to talk to the event gateway and to judge its answers:
// whoever was refused a token asks for a newer one with [Source.Renew].
package access
