// Package binary builds Gatepost's program as Google's Go buildpack builds it,
// and runs it as Cloud Run does: configured by nothing but its environment,
// reached over HTTP, ended by SIGTERM.
//
// [Build] is needed once, [Start] for each process:
//
//	program, err := binary.Build(ctx, dir)
//	process, err := binary.Start(program, map[string]string{"ALEXA_REGIONS": "EU", …})
//	defer process.Kill()
//	err = process.Ready(ctx)
//
// A process listens on the loopback interface only, on a port of its own. What
// it writes is kept. It is killed when its starter ends, in whichever way.
//
// The package is for tests and benchmarks, which find here what no test inside
// a process can show: that the program builds, what it does with its
// environment, and how it ends. It needs the go command and the module's
// source for Build, and a POSIX shell for Start. It refuses to hand on its own
// environment, so that no setting of the machine's leaks into a test.
package binary
