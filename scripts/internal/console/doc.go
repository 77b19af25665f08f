// Package console is the page of a local run, and its JSON API. It shows events live
// with the story of each, the customers, faults to switch on, and the dead letters.
// README.md beside this file documents the API, which the page itself uses.
//
// The package sees only what the run exposes: the lines of the functions' log, the dead
// letters, the simulator, the store of grants, and the [oneprocess.Gatepost] itself. It keeps
// the latest 2,000 rows in memory, and nothing on disk.
//
// It is for one user on one machine. It answers only requests whose Host is a loopback
// address, and refuses changes by pages of another origin. It shows no token: the log
// and the simulator's journal have none, and it cuts them out of what a maker publishes.
package console
