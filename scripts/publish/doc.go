// Package publish has example programs in Go, Python and Node that publish a device
// event, for a maker to copy. They are in the folders go, python and node, and in the
// README. The package has no code of its own. Its tests compare the README with the
// programs, run the programs, and have the function SendEvent deliver their events.
//
// The Go program needs only the module's dependencies. The others need python3 with
// google-cloud-pubsub, and node with @google-cloud/pubsub. With CI=true the tests
// install these packages in the user's cache directory, in at most a minute, and keep
// them. If a package is not available, a fake from testdata takes its place. The test
// then checks the published event, but not the transport, and logs one line about it.
package publish
