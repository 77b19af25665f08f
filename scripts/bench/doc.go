// Command bench measures what an event takes, and what the sweep takes, which
// refreshes every customer's access token before it expires. It computes what
// both cost.
//
//	go run ./scripts/bench events       CPU, latency and memory of SendEvent, beside what others would write
//	go run ./scripts/bench load         SendEvent with many events in flight, and a gateway that slows down
//	go run ./scripts/bench cold         from the start of a process to its first answer
//	go run ./scripts/bench sweep        CPU, time and memory, beside a bare HTTP client
//	go run ./scripts/bench spread       two days of refreshes, drawn into spread.png
//	go run ./scripts/bench firestore    reads and writes of one refresh, and of one event
//	go run ./scripts/bench cost         a month's bill, the limit that is met first, and what a million events cost
//
// Each command takes flags, which -h lists. README.md beside this file has the
// figures that they gave, and on which machine.
//
// What is measured is the product. The sweep is its own code, with only the
// places exchanged where the figures come from: the simulator plays Amazon, in a
// process of its own so that its work is not counted, and records are in memory
// or in the Firestore emulator. An event goes through the program as it is
// deployed, which is watched from outside.
//
// Time is a poor measure on a machine that others use. What is compared is CPU
// time, and only figures of one run with each other.
//
// The program needs a system with getrusage; events and load need Linux, which
// tells what another process uses, and all that start Gatepost need the go
// command, this module's source and a POSIX shell. It fails, with status 1, when
// a refresh does or when a sender sends what Amazon would refuse: the figures
// would be those of something else. Events that fail later are counted and
// shown. It talks to nobody but this machine, save that -install has npm fetch
// two packages.
package main
