// Package gateposttest runs a whole Gatepost inside your own Go tests: the functions as
// they are deployed, Pub/Sub in memory, and a simulator of Login with Amazon and the
// Alexa event gateways. It needs no cloud, no emulator and no network.
//
//	g := gateposttest.Start(t)
//	customer := g.Link("u-1", alexa.EU)
//
//	// Your code publishes, with a client like this:
//	client, err := pubsub.NewClient(ctx, g.PubSub.Project, g.PubSub.ClientOptions()...)
//	id, err := publishPowerState(ctx, client, "u-1", "lamp-1", "ON")
//
//	if got := g.Outcome(id); got.Outcome != "accepted" {
//		t.Errorf("the outcome is %+v", got)
//	}
//	if got := g.State(customer, "lamp-1")["Alexa.PowerController.powerState"]; got != "ON" {
//		t.Errorf("Alexa believes that the lamp is %v", got)
//	}
//
// Code that takes no options finds Pub/Sub by the environment:
//
//	t.Setenv("PUBSUB_EMULATOR_HOST", g.PubSub.Address) // in a test that is not parallel
//
// # What it does
//
// [Start] takes some 20 milliseconds. Several Gateposts may run at once, in parallel
// tests as well: each has its own Pub/Sub, store and simulator. A Gatepost stops at the
// end of its test, and leaves no goroutine. The functions' log lines go to the test's
// log.
//
// The methods wait without polling for what they return, and fail the test if it does
// not come: after half a minute, or shortly before the deadline of go test. Call them
// from the test's goroutine.
//
// # Trouble
//
// [Gatepost.Amazon] is package simulator's Simulator: it scripts faults, expires tokens,
// unlinks customers, and shows each request.
//
//	g.Amazon.Script(simulator.Gateway(alexa.EU), simulator.Fault{Code: simulator.Throttling, Times: 2})
//	g.Amazon.Disable(customer.Region, customer.AmazonUser)
//
// # Limits
//
// Pub/Sub in memory is Google's fake server, to which this package adds push. It
// redelivers after 50 milliseconds, twice as long after each further failure, and at most
// half a second. A failed event may take seconds nonetheless, because SendEvent itself
// retries before it answers. All regions are served by one process. Nothing is swept
// unless [Gatepost.Sweep] is called.
package gateposttest
