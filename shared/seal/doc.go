// Package seal encrypts tokens at rest with a Tink AEAD keyset
// (https://developers.google.com/tink/aead).
//
// Every sealed value is bound to the place where it is kept: customer, grant
// and field are its associated data. A sealed token that is copied to another
// customer's record, or from one field to the other, does not open. Errors
// never hold plaintext, ciphertext or key material.
//
// # Rotation
//
// Values are sealed with the keyset's primary key and carry that key's id, so
// that older values still open after [Rotate] has put a new key in front. A
// [Sealer] that was told where keysets come from ([Sealer.ReloadFrom]) needs no
// restart for it:
//
//   - A value whose key it does not know makes it load the keyset and try
//     again, at most every 10 seconds, however many such values there are. A
//     value that is damaged or was moved does not.
//   - A process that meets no such value would seal with the old key for ever.
//     So the first Seal in an hour loads the keyset too, and tries again after
//     a minute as long as it cannot be loaded. Whoever seals has just
//     been given a token that must be saved, and so this may take a second at
//     most, keeps nobody else waiting, and does not fail the Seal.
//
// A keyset that cannot be loaded, or is none, leaves the one at hand in use.
//
// What was sealed with a key is lost when the key is removed ([Remove]), so
// that has to wait for two things: until every process seals with the new key,
// which takes an hour, or longer where the keyset's source is slow to show it or
// out of order;
// and until nothing is sealed with the old key any more, for which
// [Sealer.Fresh] and [KeyID] tell by which key a value was sealed.
package seal
