// Package emulator starts Google's Firestore and Pub/Sub emulators for tests.
//
// A test asks for the address of an emulator with [Firestore] or [PubSub] and
// for a project of its own with [Project]:
//
//	host := emulator.Firestore(t)
//	t.Setenv("FIRESTORE_EMULATOR_HOST", host)
//	store, err := grantfire.Open(t.Context(), emulator.Project(), "")
//
// All tests of a binary share one process for each emulator. It is started by
// the first test that asks, listens on the loopback interface only, and is
// killed when the test binary ends, in whichever way. An emulator that already
// runs is used instead when FIRESTORE_EMULATOR_HOST or PUBSUB_EMULATOR_HOST
// names it. The package sets neither variable: a test that starts programs of
// its own hands them the address.
//
// The emulators are Java programs that come with the Google Cloud SDK
// (components cloud-firestore-emulator and pubsub-emulator); the package runs
// them with the java on the PATH, because the gcloud command takes a second to
// start and leaves the Java process behind when it is stopped. It needs a
// POSIX shell.
//
// It fails by skipping the test, with one line that says what is missing.
// With REQUIRE_EMULATORS=1, as in CI, that fails the test instead.
package emulator
