// Package access returns access tokens of grants, and refreshes them.
//
// An access token lives an hour, and Login with Amazon may revoke the old refresh
// token with each refresh, so that two concurrent refreshes of one grant can lose
// it. A [Source] therefore runs one refresh at a time: callers in a process share
// it, and a lease on the grant, taken by a conditional write, keeps other processes
// from refreshing. They poll the record until the new token is there.
//
// New tokens are saved before they are used, even if the request that needed them
// has ended. A refresh answered with invalid_grant is the only proof that a grant is
// gone: the Source then revokes it and returns [ErrRevoked]. Every other failure
// leaves the grant as it is.
//
// The package does not call the event gateway, or judge its answers: a caller whose
// token the gateway refused gets a newer one from [Source.Renew].
package access
