// Package federationtest plays Google's Security Token Service and IAM
// Credentials API, for tests of who needs an ID token on AWS.
//
// It is as strict as they are about what makes a caller believable: the
// GetCallerIdentity request must be complete, fresh and signed by the role's
// secret, which is computed here anew; the access token and the service
// account must be the right ones. Then it issues tokens that look like JWTs
// and are signed by nobody; a test's server asks [Google.Accepts] about them.
package federationtest
