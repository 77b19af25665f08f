// Command grants shows and mends what is kept about customers in a stack's
// Firestore database.
//
//	go run ./scripts/grants show u-1                  what is kept of a customer
//	go run ./scripts/grants restore u-1               undo the revocation of grants
//	go run ./scripts/grants probe u-1                 make suspect grants due now
//	go run ./scripts/grants erase -for-real u-1       remove every trace of a customer
//	go run ./scripts/grants reseal -keyset REF        seal all tokens with the primary key
//	go run ./scripts/grants brake                     show the brake, latch it or release it
//
// README.md beside this file explains the flags, and what else a command means
// for the customer.
//
// It works beside running functions: every change is conditional on the record
// that it was decided from, and decided anew if that has changed meanwhile. It
// publishes nothing. What it has to announce is left in the record for the
// sweep.
//
// It never shows a token, sealed or not. A customer whom nobody named on the
// command line is named as in logs, by a hash.
//
// Commands that walk all customers, and those that cannot be undone, are dry
// runs without -for-real. An interrupt finishes the changes that are being
// made, shows the counts and says where to go on; a second one ends the program
// at once, which may leave a change made and not counted.
package main
