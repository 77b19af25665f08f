// Command bench measures the sweep, which refreshes every customer's access
// token before it expires, and computes what it costs.
//
//	go run ./scripts/bench sweep        CPU, time and memory, beside a bare HTTP client
//	go run ./scripts/bench spread       two days of refreshes, drawn into spread.png
//	go run ./scripts/bench firestore    reads and writes of one refresh
//	go run ./scripts/bench cost         a month's bill, and the limit that is met first
//
// Each command takes flags, which -h lists. README.md beside this file has the
// figures that they gave, and on which machine.
//
// What is measured is the product's own code: the sweep, the source of tokens,
// the client of Login with Amazon. Only the places where the figures come from
// are exchanged: the simulator plays Amazon, in a process of its own so that its
// work is not counted, and records are in memory or in the Firestore emulator.
//
// Time is a poor measure on a machine that others use. What is compared is CPU
// time, and only figures of one run with each other.
//
// The program needs a system with getrusage. It fails, with status 1, when a
// refresh does: the figures of a sweep with failures would be those of something
// else.
package main
