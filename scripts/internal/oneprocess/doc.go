// Package oneprocess runs a whole Gatepost in one process, for the local run and for
// tests: the functions, Pub/Sub in memory, the simulator of Login with Amazon and the
// event gateways, and what pushes messages and starts sweeps.
//
//	g, err := oneprocess.Start(ctx, oneprocess.Options{Project: "p", Amazon: simulator.New(simulator.Options{})})
//	…
//	id, err := g.Publish(ctx, event, map[string]string{"region": "EU"}, "u-1/lamp-1")
//	line, err := g.Lines.Wait(ctx, func(l oneprocess.Line) bool { return l.Pushed != nil && l.Pushed.ID == id })
//	g.Stop()
//
// Several may run in one process: nothing is global, and each has its own Pub/Sub. The
// functions are plain HTTP handlers on a port of the loopback interface; the Functions
// Framework, whose registry is global, is not used.
//
// What happens is read from one source, the functions' log: a [Line] is a record of it,
// with the Pub/Sub message that the function worked on.
package oneprocess
