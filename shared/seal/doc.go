// Package seal encrypts tokens at rest with a Tink AEAD keyset
// (https://developers.google.com/tink/aead).
//
// Every sealed value is bound to the place where it is kept: customer, grant and
// field are its associated data. A sealed token that is copied to another customer's
// record, or from one field to another, does not open. Errors never hold plaintext,
// ciphertext or key material.
//
// # Rotation
//
// Values are sealed with the keyset's primary key and carry that key's id, so that
// older values still open after [Rotate] has added a new primary key. A [Sealer] with
// a source of keysets ([Sealer.ReloadFrom]) needs no restart for that:
//
//   - A value with an unknown key makes it reload the keyset and retry, at most every
//     10 seconds, however many such values there are. A damaged or moved value does
//     not.
//   - A process that encounters no such value would keep using the old key. The first
//     Seal in an hour therefore reloads the keyset too; while that fails, it is
//     retried after a minute. The caller of Seal has a token that must be saved, so
//     the reload takes at most a second, blocks no other caller, and does not fail
//     the Seal.
//
// If the keyset cannot be loaded, or is invalid, the current one stays in use.
//
// Values that were sealed with a key are lost when the key is removed ([Remove]).
// Before that, every process must seal with the new key, which takes an hour, or
// longer if the keyset's source is stale or unavailable. And no value that is sealed
// with the old key may be left: [Sealer.Fresh] and [KeyID] show which key a value is
// sealed with.
package seal
