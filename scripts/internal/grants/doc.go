// Command grants shows and repairs the records of customers in a stack's Firestore
// database.
//
//	go run ./scripts/grants show u-1                  show a customer's record
//	go run ./scripts/grants restore u-1               undo the revocation of grants
//	go run ./scripts/grants probe u-1                 make suspect grants due now
//	go run ./scripts/grants erase -for-real u-1       remove every trace of a customer
//	go run ./scripts/grants reseal -keyset REF        seal all tokens with the primary key
//	go run ./scripts/grants brake                     show the brake, latch it or release it
//
// README.md beside this file explains the flags, and the effects of a command on the
// customer.
//
// The program is safe to run beside the functions: it writes a record only if the
// record has not changed since it was read, and otherwise reads and decides again. It
// publishes nothing; the record keeps announcements for the sweep.
//
// It never shows a token, sealed or not. It shows a customer that is not named on the
// command line by the hash that logs have.
//
// Commands that walk all customers, and those that cannot be undone, are dry runs
// without -for-real. An interrupt finishes the changes in flight, shows the counts and
// the -after to continue with. A second one ends the program at once, and may leave a
// change uncounted.
package main
