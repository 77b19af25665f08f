package replay

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/scripts/internal/oneprocess"
	cloudtest "github.com/gatepostdev/gatepost/shared/testkit/cloud"
)

// failing makes calls of the fake fail while broken says so.
type failing struct {
	broken func(request any) bool
	code   codes.Code
	calls  atomic.Int32
}

func (f *failing) React(request any) (handled bool, result any, err error) {
	f.calls.Add(1)
	if f.broken(request) {
		return true, nil, status.Error(f.code, "broken")
	}
	return false, nil, nil
}

func (f *failing) cloud(t *testing.T, call string) *cloud {
	t.Helper()
	return newCloud(t, cloudtest.Fake(t, pstest.ServerReactorOption{FuncName: call, Reactor: f}).Addr)
}

// TestPublishRefused has the topic refuse two messages. The next of the one's
// ordering key has to wait for it, and the others are not affected.
func TestPublishRefused(t *testing.T) {
	t.Parallel()
	f := &failing{code: codes.InvalidArgument, broken: func(request any) bool {
		r := request.(*pubsubpb.PublishRequest)
		return strings.HasSuffix(r.Topic, "device-events") && slices.ContainsFunc(r.Messages, func(m *pubsubpb.PubsubMessage) bool {
			return strings.Contains("AE", m.Attributes[letterName])
		})
	}}
	c := f.cloud(t, "Publish")
	keys := map[string]string{"A": "u-secret/lamp-1", "B": "u-secret/lamp-1", "C": "u-3/lamp-1"}
	for i, name := range strings.Split("ABCDE", "") {
		c.bury(&pubsub.Message{Data: []byte(changeReport), OrderingKey: keys[name], Attributes: map[string]string{
			letterName: name, attrPublished: noon.Add(time.Duration(i) * time.Second).Format(time.RFC3339),
		}})
	}
	status, stdout, stderr := c.replay("--for-real")
	if status != cli.StatusFailed || stderr != "" {
		t.Errorf("replay = %d and said %q, want %d", status, stderr, cli.StatusFailed)
	}
	if strings.Contains(stdout, "u-secret") || strings.Count(stdout, "failed\t") != 3 || strings.Count(stdout, "replayed\t") != 2 {
		t.Errorf("it wrote\n%swant three failed, two replayed, and no ordering key", stdout)
	}
	if delivered, left := names(c.delivered(2)), c.left(3); delivered != "CD" || left != "ABE" {
		t.Errorf("delivered %s and left %s, want CD and ABE", delivered, left)
	}
}

// TestAcknowledgeFails leaves messages in both: the run says so, goes no
// further, and the next one publishes them again.
func TestAcknowledgeFails(t *testing.T) {
	t.Parallel()
	var mended atomic.Bool
	f := &failing{code: codes.PermissionDenied, broken: func(any) bool { return !mended.Load() }}
	c := f.cloud(t, "Acknowledge")
	c.bury(buried()...)
	status, stdout, stderr := c.replay("--for-real", "--json", "--code", "B")
	want := tally{Read: 6, Selected: 1, Failed: 1, Unacknowledged: 1, Left: 6}
	if diff := cmp.Diff(want, c.parse(stdout)); diff != "" {
		t.Errorf("tally (-want +got):\n%s", diff)
	}
	if status != cli.StatusFailed || !strings.Contains(stderr, "acknowledging") {
		t.Errorf("replay = %d and said %q", status, stderr)
	}
	mended.Store(true)
	if got := c.tally("--for-real", "--code", "B"); got.Replayed != 1 {
		t.Errorf("the next run: %+v, want one replayed", got)
	}
	if delivered, left := names(c.delivered(2)), c.left(5); delivered != "BB" || left != "ACDEF" {
		t.Errorf("delivered %s and left %s, want BB and ACDEF", delivered, left)
	}
}

func TestPullFails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		code  codes.Code
		times int32
		calls int32 // at least
		want  int
	}{
		{"for a moment", codes.Unavailable, 2, 3, cli.StatusDone},
		{"for longer", codes.Unavailable, 1000, 1, cli.StatusFailed},
		{"for good", codes.PermissionDenied, 1, 1, cli.StatusFailed},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := &failing{code: test.code}
			f.broken = func(any) bool { return f.calls.Load() <= test.times }
			c := f.cloud(t, "Pull")
			c.bury(buried()...)
			status, stdout, stderr := c.replay("--json")
			if status != test.want || (stderr == "") != (test.want == cli.StatusDone) || f.calls.Load() < test.calls {
				t.Errorf("replay = %d and said %q after %d calls, want %d", status, stderr, f.calls.Load(), test.want)
			}
			if got := c.parse(stdout); got.Read != 6 && status == cli.StatusDone {
				t.Errorf("%+v, want all read", got)
			}
		})
	}
}

// TestLeaseFails cannot release messages: Pub/Sub redelivers them.
func TestLeaseFails(t *testing.T) {
	t.Parallel()
	f := &failing{code: codes.PermissionDenied, broken: func(any) bool { return true }}
	c := f.cloud(t, "ModifyAckDeadline")
	c.bury(buried()...)
	status, _, stderr := c.replay()
	if status != cli.StatusFailed || !strings.Contains(stderr, "redelivers them within") {
		t.Errorf("replay = %d and said %q", status, stderr)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	c := newCloud(t, cloudtest.Fake(t).Addr)
	c.createTopic("grant-events")
	c.subscribe("grant-events", "grant-events", func(*pubsubpb.Subscription) {})
	moves := func(to string) func(s *pubsubpb.Subscription) {
		return func(s *pubsubpb.Subscription) {
			s.DeadLetterPolicy = &pubsubpb.DeadLetterPolicy{DeadLetterTopic: c.name("topics", to), MaxDeliveryAttempts: 5}
		}
	}
	c.subscribe("own-policy", "dead-letters", moves("device-events"))
	c.subscribe("ordered", "dead-letters", func(s *pubsubpb.Subscription) { s.EnableMessageOrdering = true })
	c.createTopic("plain-events")
	c.createTopic("former")
	c.subscribe("orphan", "former", func(*pubsubpb.Subscription) {})
	deleted := &pubsubpb.DeleteTopicRequest{Topic: c.name("topics", "former")}
	if err := c.client.TopicAdminClient.DeleteTopic(t.Context(), deleted); err != nil {
		t.Fatal(err)
	}
	c.subscribe("eu", "device-events", moves("dead-letters"))
	const right = "not a dead-letter topic of device-events: want dead-letters or ordered or own-policy\n"
	for _, test := range []struct{ subscription, topic, says string }{
		{"dead-letters", "device-events", ""},
		{c.name("subscriptions", "dead-letters"), c.name("topics", "device-events"), ""},
		{"orphan", "device-events", ""},
		{"grant-events", "plain-events", ""}, // nobody knows where its dead letters are
		{"ordered", "device-events", "ordered is ordered: only the first message"},
		{"own-policy", "device-events", "own-policy has a dead-letter policy of its own"},
		{"eu", "device-events", "eu is a subscription of device-events, which is " + right},
		{"grant-events", "device-events", "grant-events is a subscription of grant-events, which is " + right},
		{"alive-letters", "device-events", "subscription alive-letters does not exist in project " + c.project +
			": there are dead-letters, device-events, grant-events, ordered, own-policy, eu, orphan\n"},
		{"dead-letters", "devices", "topic devices does not exist in project " + c.project +
			": there are device-events, dead-letters, grant-events, plain-events\n"},
	} {
		t.Run(test.subscription+" "+test.topic, func(t *testing.T) {
			t.Parallel()
			want := cli.StatusFailed
			if test.says == "" || test.subscription == "ordered" {
				want = cli.StatusDone
			}
			status, _, stderr := c.call(t.Context(), "--subscription", test.subscription, "--topic", test.topic)
			if status != want || (test.says == "") != (stderr == "") || !strings.Contains(stderr, test.says) {
				t.Errorf("status %d and %q, want %d and %q", status, stderr, want, test.says)
			}
		})
	}
}

// TestCheckWithoutPermission may only use the subscription and the topic, not look at
// others.
func TestCheckWithoutPermission(t *testing.T) {
	t.Parallel()
	f := &failing{code: codes.PermissionDenied, broken: func(any) bool { return true }}
	denied := []pstest.ServerReactorOption{{FuncName: "ListSubscriptions", Reactor: f}, {FuncName: "GetTopic", Reactor: f}}
	c := newCloud(t, cloudtest.Fake(t, denied...).Addr)
	c.subscribe("eu", "device-events", func(s *pubsubpb.Subscription) {
		s.DeadLetterPolicy = &pubsubpb.DeadLetterPolicy{DeadLetterTopic: c.name("topics", "dead-letters"), MaxDeliveryAttempts: 5}
	})
	c.bury(buried()...)
	if got := c.tally(); got.Read != 6 || f.calls.Load() != 2 {
		t.Errorf("%+v after %d calls that were denied, want 6 read and 2", got, f.calls.Load())
	}
	status, _, stderr := c.call(t.Context(), "--subscription", "alive-letters", "--topic", "device-events")
	want := "subscription alive-letters does not exist in project " + c.project + "\n"
	if status != cli.StatusFailed || !strings.HasSuffix(stderr, want) {
		t.Errorf("status %d and %q, want %d and %q", status, stderr, cli.StatusFailed, want)
	}
}

// TestUnanswered has a Pub/Sub that does not answer a call of the checks: the call must
// have a deadline, and the message name the address.
func TestUnanswered(t *testing.T) {
	host := cloudtest.Fake(t).Addr
	c := newCloud(t, host)
	t.Setenv("PUBSUB_EMULATOR_HOST", host)
	for _, silent := range []string{"GetTopic", "GetSubscription", "ListTopics", "ListSubscriptions"} {
		silence := func(ctx context.Context, method string, in, out any, cc *grpc.ClientConn, do grpc.UnaryInvoker, o ...grpc.CallOption) error {
			if !strings.HasSuffix(method, "/"+silent) {
				return do(ctx, method, in, out, cc, o...)
			}
			if end, ok := ctx.Deadline(); !ok || time.Until(end) > checkTime {
				t.Errorf("%s may take until %v", silent, end)
			}
			return status.Error(codes.DeadlineExceeded, "silent")
		}
		asked := *c
		asked.options = append(oneprocess.Emulator(host), option.WithGRPCDialOption(grpc.WithUnaryInterceptor(silence)))
		topic := map[bool]string{true: "no-topic", false: "device-events"}[silent == "ListTopics"]
		want := "Pub/Sub at " + host + " (PUBSUB_EMULATOR_HOST) does not answer: is the local run up?\n"
		if strings.HasPrefix(silent, "List") {
			want = map[bool]string{true: "topic no-topic does not exist in project " + c.project + "\n"}[silent == "ListTopics"]
		}
		_, _, stderr := asked.call(t.Context(), "--subscription=dead-letters", "--topic="+topic)
		if !strings.HasSuffix(stderr, want) || (want == "") != (stderr == "") {
			t.Errorf("without %s it says %q, want %q", silent, stderr, want)
		}
	}
}

// slow is a Pub/Sub that notices late that a pull was given up, and then hands
// out messages that nobody gets.
type slow struct {
	pubsubpb.UnimplementedSubscriberServer
	handedOut atomic.Bool
}

func (s *slow) Pull(ctx context.Context, _ *pubsubpb.PullRequest) (*pubsubpb.PullResponse, error) {
	<-ctx.Done()
	<-time.After(settleTime / 2)
	s.handedOut.Store(true)
	return &pubsubpb.PullResponse{}, nil
}

func TestPullSettles(t *testing.T) {
	t.Parallel()
	var service slow
	address := cloudtest.Serve(t, func(s *grpc.Server) { pubsubpb.RegisterSubscriberServer(s, &service) })
	client, err := connect(t.Context(), "p", oneprocess.Emulator(address)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	messages, err := subscription{client.SubscriptionAdminClient, "projects/p/subscriptions/s"}.pull(ctx)
	if len(messages) != 0 || err != nil || !service.handedOut.Load() {
		t.Errorf("pull() = %v, %v, and Pub/Sub was through with it: %v", messages, err, service.handedOut.Load())
	}
}
