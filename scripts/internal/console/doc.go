// Package console is the page of a local run, and its JSON API: the events live and the
// story of each, the customers, faults to switch on, and the dead letters. README.md
// beside this file documents the API, which the page itself uses.
//
// The package knows the run by what it gives: the lines of the functions' log, the dead
// letters, the simulator, the store of grants, and the [oneprocess.Gatepost] itself. It keeps
// the latest 2,000 rows and nothing on disk.
//
// It is for one user on one machine. It answers only to a Host that is a loopback
// address, changes nothing for a page of another origin, and shows no token: the log and
// the simulator's journal have none, and what a maker published is cleaned.
package console
