// Package emulator starts Google's Firestore and Pub/Sub emulators for tests.
//
// A test gets an emulator's address from [Firestore] or [PubSub] and its own
// project from [Project]:
//
//	host := emulator.Firestore(t)
//	t.Setenv("FIRESTORE_EMULATOR_HOST", host)
//	store, err := grantfire.Open(t.Context(), emulator.Project(), "")
//
// All tests of a binary share one process of each emulator. The first test starts
// it; it listens on the loopback interface, and is killed when the test binary
// ends, however that happens. If FIRESTORE_EMULATOR_HOST or PUBSUB_EMULATOR_HOST
// names a running emulator, that one is used. The package sets neither variable: a
// test that starts programs passes them the address.
//
// The emulators are Java programs of the Google Cloud SDK (components
// cloud-firestore-emulator and pubsub-emulator). The package runs them with the
// java on the PATH, because the gcloud command takes a second to start and leaves
// the Java process behind when it is stopped. It needs a POSIX shell.
//
// Without an emulator it skips the test, with one line that names the missing part.
// With REQUIRE_EMULATORS=1, as in CI, it fails the test.
package emulator
