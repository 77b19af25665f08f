// Command keyset makes, rotates and shows the keyset that seals tokens at rest,
// TOKEN_KEYSET of the functions.
//
//	go run ./scripts/keyset create REF
//	go run ./scripts/keyset rotate REF
//	go run ./scripts/keyset show   REF
//	go run ./scripts/keyset remove REF KEYID
//
// REF is file:PATH or projects/P/secrets/S. README.md beside this file tells how
// to rotate, and what happens then and when.
//
// It writes a keyset as a whole or not at all, and reads back what it wrote.
// Nothing secret is shown: of a key its id, status and type. It refuses to
// create what is there, and to remove the primary key. It cannot know whether
// anything is still sealed with a key that is removed; scripts/grants does.
//
// The exit status is 0, 1 for what failed, and 2 for a command line that can
// never succeed. A failure has changed nothing, unless it says that something
// was written, or Secret Manager's answer to that was lost: show tells.
package main
