package replay

import (
	"context"
	"fmt"
	"os"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/scripts/internal/oneprocess"
)

// A dry run: one line for each message that would be replayed, and the counts.
func Example() {
	ctx := context.Background()
	server := pstest.NewServerWithAddress("127.0.0.1:0")
	defer server.Close()
	if _, err := server.GServer.CreateTopic(ctx, &pubsubpb.Topic{Name: "projects/p/topics/dead-letters"}); err != nil {
		fmt.Println(err)
	}
	if _, err := server.GServer.CreateSubscription(ctx, &pubsubpb.Subscription{
		Name: "projects/p/subscriptions/dead-letters", Topic: "projects/p/topics/dead-letters", AckDeadlineSeconds: 60,
	}); err != nil {
		fmt.Println(err)
	}
	server.Publish("projects/p/topics/dead-letters", []byte(changeReport), map[string]string{
		attrReason: "dead_letter", attrCode: "INVALID_REQUEST_EXCEPTION", attrDescription: "value is out of range",
		attrRefusedBy: "EU", attrPublished: "2026-01-02T12:00:00.000Z",
	})

	if _, err := server.GServer.CreateTopic(ctx, &pubsubpb.Topic{Name: "projects/p/topics/device-events"}); err != nil {
		fmt.Println(err)
	}
	env := &cli.Env{Stdout: os.Stdout, Stderr: os.Stderr, Now: time.Now, Google: oneprocess.Emulator(server.Addr)}
	cli.Run(ctx, env, new(grammar), []string{
		"replay", "--project", "p", "--subscription", "dead-letters", "--topic", "device-events",
		"--code", "INVALID_REQUEST_EXCEPTION", "--idle", "500ms",
	})
	// Output:
	// would replay	2026-01-02T12:00:00.000Z	EU	INVALID_REQUEST_EXCEPTION	a24a7f55f278dd49	Alexa.ChangeReport	lamp-1	value is out of range
	// read                       1
	// selected                   1
	// would replay               1
	// refused                    0
	// left                       1
	// Events older than 5m0s: 1. Unless MAX_EVENT_AGE is longer, SendEvent drops them as expired
	// and announces their endpoints as stale. With --as-new they are delivered, as if they had happened now.
	// This was a dry run: nothing was published. Add --for-real to replay.
}
