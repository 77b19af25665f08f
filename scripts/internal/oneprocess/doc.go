// Package oneprocess runs a whole Gatepost in one process, for the local run and for
// tests: the functions, Pub/Sub in memory, the simulator of Login with Amazon and the
// event gateways, and the parts that push messages and start sweeps.
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
// The functions' log is the one source of what happens. A [Line] is one of its records,
// with the Pub/Sub message that the function worked on.
package oneprocess
