// Package binary builds Gatepost's program as Google's Go buildpack does, and runs
// it as Cloud Run does: configured by its environment, called over HTTP, ended by
// SIGTERM.
//
// Call [Build] once, and [Start] for each process:
//
//	program, err := binary.Build(ctx, dir)
//	process, err := binary.Start(program, map[string]string{"ALEXA_REGIONS": "EU", …})
//	defer process.Kill()
//	err = process.Ready(ctx)
//
// A process listens on its own port of the loopback interface. Its output is kept.
// It is killed when its starter ends, however that happens.
//
// The package is for tests and benchmarks of things that no test inside a process
// can show: that the program builds, how it uses its environment, and how it ends.
// Build needs the go command and the module's source, Start a POSIX shell. A
// process does not inherit the environment, so that no setting of the machine leaks
// into a test.
package binary
