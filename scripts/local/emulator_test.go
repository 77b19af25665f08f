package main

import (
	"testing"

	"github.com/gatepostdev/gatepost/shared/testkit/emulator"
)

// TestEmulators runs the program twice with Google's emulators: the second run
// gets the event that the first one handed back, and finds its records.
func TestEmulators(t *testing.T) {
	t.Parallel()
	env := []string{
		pubsubHost + "=" + emulator.PubSub(t), firestoreHost + "=" + emulator.Firestore(t),
		"XDG_CACHE_HOME=" + t.TempDir(), "HOME=" + t.TempDir(), // where the keyset is kept
	}
	project := "-project=" + emulator.Project()
	first := launch(t, "program", env, project)
	first.until("u-1 linked in EU, 1 active grant")
	first.until("was accepted by the gateway of EU, with the new token")
	first.ready()
	first.refuseAlways("lamp-9")
	id := first.publish("lamp-9")
	first.until(id+" of u-1/lamp-9, attempt 1: status 503", "again in 1s")
	first.terminate()
	first.until("in flight: 0 acknowledged, 1 handed back to Pub/Sub.")
	first.ends(0)

	second := launch(t, "program", env, project)
	second.until(id + " of u-1/lamp-9, attempt ")
	second.until("was accepted by the gateway of EU, with the new token")
	second.ready()
	second.terminate()
	second.ends(0)
}
