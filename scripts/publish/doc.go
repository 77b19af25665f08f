// Package publish holds what a maker's cloud may copy to publish a device
// event, in Go, Python and Node: the programs in go, python and node beside
// this file, which README.md at the module's root shows. It has no code of its
// own. Its tests hold the README to the programs, run these, and have the
// function SendEvent deliver what they publish.
//
// The Go program runs with what the module needs anyhow. The others need python3
// with google-cloud-pubsub, and node with @google-cloud/pubsub. With CI=true the
// tests install these packages in the user's cache directory, in at most a
// minute, where they stay. A package that is not to be had is stood in for by
// one in testdata, so that what the program publishes is checked all the same,
// though not how it is sent; the test's log says so in one line.
package publish
