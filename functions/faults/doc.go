// Package faults is the fault suite of delivery. It makes the services around
// Gatepost fail in every way that its tables list, and checks that the program
// then does what they say. It contains only tests.
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
//   - What must happen once: two processes send doorbell presses and simple
//     events, and one is killed between claim, send and mark.
//   - How two processes, or the customers of one region, affect each other.
//   - A random run: hundreds of events through Pub/Sub's push, with faults in
//     a fifth of all answers, while processes are killed. Afterwards every
//     event is accounted for.
//
// FAULT_SEED seeds the faults of the random run; a seed reproduces a run as far
// as the scheduling of processes allows. FAULT_EVENTS is the number of its
// events, 600 or more. Without emulators the suite is skipped, or fails with
// REQUIRE_EMULATORS=1.
package faults
