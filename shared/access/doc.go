// Package access returns access tokens of grants, and refreshes them.
//
// An access token is valid for an hour. Login with Amazon may revoke the old refresh
// token at each refresh, so two concurrent refreshes of one grant can lose it. A
// [Source] therefore runs one refresh at a time: callers in a process share it, and
// a lease on the grant, taken by a conditional write, keeps other processes from
// refreshing. They poll the record until the new token is there.
//
// New tokens are saved before they are used, even if the request that needed them
// has ended. Only invalid_grant shows that a grant may be gone. The grant then
// becomes suspect, and the Source returns [ErrSuspect]. If a second witness confirms
// it, or a later refresh is refused too, the Source revokes the grant and returns
// [ErrRevoked]. A grant that the configuration does not match becomes suspect as
// well. Every other failure leaves the grant as it is.
//
// The package does not call the event gateway, or judge its answers: a caller whose
// token the gateway refused gets a newer one from [Source.Renew].
package access
