// Package faults is the fault suite of the delivery: it makes the world around
// Gatepost fail in every way that its tables list, and compares what the program
// then does with them. It has no code but its tests.
//
// The program is the real one, built as Google builds it, in processes of its
// own: one that links customers, and one or two copies of SendEvent. They
// share the Firestore emulator and publish to the Pub/Sub emulator. Login with
// Amazon and the event gateways are package simulator, whose answers the tests
// script.
//
// There are four parts:
//   - The tables: for each answer of Login with Amazon and of the gateway, the
//     exact requests that follow, the acknowledgement, the state of the grant,
//     and the events that the maker gets.
//   - What must happen once: doorbell presses and simple events, sent by two
//     processes of which one is killed between claim, send and mark.
//   - What two processes, or a region's customers, do to one another.
//   - A random run: hundreds of events through Pub/Sub's push, with faults
//     on a fifth of all answers, while processes are killed. Afterwards every
//     event is accounted for.
//
// FAULT_SEED gives the random run other faults; a seed repeats as far as the
// scheduling of processes does. FAULT_EVENTS is how many events it has, 600 or more. Without emulators the suite is skipped, or fails with
// REQUIRE_EMULATORS=1.
package faults
