// Package cutover is the command gatepost import: it stores the refresh tokens that a
// maker's former sender used, so that no customer has to link again. README.md beside
// this file explains how to cut over from one sender to the other.
//
// A row of the input is a JSON object on a line of its own. It becomes a grant whose id
// is a hash of its refresh token, so that a second run finds the grant and changes
// nothing. A row never changes a grant that is stored. If the customer has another
// proven grant in the region, that one is newer, and the row is left out.
//
// The command writes no token anywhere but, sealed, into the database. Its messages name
// lines and fields, and say what is allowed.
package cutover
