package replay

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/testkit"
	cloudtest "github.com/gatepostdev/gatepost/shared/testkit/cloud"
)

// buried is what the dead-letter topic holds: the letters A to F.
func buried() []*pubsub.Message {
	ago := func(d time.Duration) string { return alexa.FormatTime(time.Now().Add(-d)) }
	letter := func(name, data string, age time.Duration, more map[string]string) *pubsub.Message {
		m := &pubsub.Message{Data: []byte(data), Attributes: map[string]string{attrCode: name, letterName: name}}
		if more[attrDeliveries] == "" { // SendEvent's
			m.Attributes[attrIdentity], m.Attributes[attrPublished] = strings.ToLower(name), ago(age)
		}
		maps.Copy(m.Attributes, more)
		return m
	}
	report := func(name, user string, age time.Duration, more map[string]string) *pubsub.Message {
		more[attrReason], more[attrCustomer] = "dead_letter", grant.CustomerHash(user)
		return letter(name, strings.Replace(changeReport, "u-1", user, 1), age, more)
	}
	return []*pubsub.Message{
		report("A", "u-1", time.Hour, map[string]string{attrRefusedBy: "EU", attrGrant: "g-1"}),
		report("B", "u-2", time.Minute, map[string]string{attrRefusedBy: "NA", attrGrant: "g-2"}),
		report("C", "u-1", 2*time.Hour, map[string]string{attrRegion: "eu"}),
		letter("D", deleteReport, 3*time.Hour, nil),
		letter("E", changeReport, 0, map[string]string{attrDeliveries: "100", attrSourceTopic: ago(time.Minute)}),
		letter("F", "?", time.Minute, map[string]string{attrRegion: "NA"}),
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		args      string
		want      tally
		delivered string // letters
	}{
		{"all", "", tally{Selected: 6, Replayed: 4, Refused: 2, StaleDeletes: 1, WrongRegions: 1, Expiring: 1}, "ABEF"},
		{"all, forced", "--force --set-region EU", tally{Selected: 6, Replayed: 6, Expiring: 2}, "ABCDEF"},
		{"of Pub/Sub", "--reason undelivered", tally{Selected: 1, Replayed: 1}, "E"},
		{"of a user", "--user u-1 --region EU --code A --reason dead_letter", tally{Selected: 1, Replayed: 1, Expiring: 1}, "A"},
		{"of some time", "--since 150m --until 30m --as-new --set-region FE", tally{Selected: 2, Replayed: 2}, "AC"},
		{"none", "--code Z", tally{}, ""},
	} {
		replay := func(t *testing.T, c *cloud) {
			c.bury(buried()...)
			args, want := strings.Fields(test.args), test.want
			want.Read, want.Left = 6, 6-want.Replayed

			dry := want
			dry.DryRun, dry.Untried, dry.Replayed, dry.Left = true, want.Replayed, 0, 6
			if diff := cmp.Diff(dry, c.tally(args...)); diff != "" {
				t.Errorf("dry run (-want +got):\n%s", diff)
			}
			if left := c.left(6); left != "ABCDEF" {
				t.Errorf("the dry run left %s, want all", left)
			}
			if diff := cmp.Diff(want, c.tally(append(args, "--for-real")...)); diff != "" {
				t.Errorf("real run (-want +got):\n%s", diff)
			}
			if got := names(c.delivered(want.Replayed)); got != test.delivered {
				t.Errorf("delivered %s, want %s", got, test.delivered)
			}
			rest := regexp.MustCompile("["+test.delivered+"_]").ReplaceAllString("ABCDEF", "")
			if left := c.left(len(rest)); left != rest {
				t.Errorf("left %s, want %s", left, rest)
			}
		}
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.name == "all" {
				onBoth(t, replay)
			} else {
				replay(t, newCloud(t, cloudtest.Fake(t).Addr))
			}
		})
	}
}

// TestOne replays single letters for another program, which publishes them.
func TestOne(t *testing.T) {
	t.Parallel()
	c := newCloud(t, cloudtest.Fake(t).Addr)
	c.bury(buried()...)
	ids := map[string]string{"none": "0"}
	letters := subscription{c.client.SubscriptionAdminClient, c.name("subscriptions", "dead-letters")}
	for _, m := range c.pull(letters, 6) {
		ids[m.Attributes[letterName]] = m.ID
		if err := letters.extend(t.Context(), []string{m.ackID}, 0); err != nil {
			t.Fatal(err)
		}
	}
	full := errors.New("the topic is full")
	ended, end := context.WithCancel(t.Context())
	end()
	for _, test := range []struct {
		ctx       context.Context
		letter    string
		publish   error
		want      error
		left      string
		published bool
	}{
		{ended, "B", nil, context.Canceled, "ABCDEF", false},
		{t.Context(), "B", full, full, "ABCDEF", true},
		{t.Context(), "B", nil, nil, "ACDEF", true},
		{t.Context(), "C", nil, errWrongRegion, "ACDEF", false},
		{t.Context(), "none", nil, ErrNoLetter, "ACDEF", false},
	} {
		var published []push.Message
		env := &cli.Env{Now: time.Now, Google: c.options}
		err := One(test.ctx, env, c.project, "dead-letters", ids[test.letter], func(m push.Message) error {
			published = append(published, m)
			return test.publish
		})
		if !errors.Is(err, test.want) || (len(published) == 1) != test.published {
			t.Errorf("%s: One() = %v, want %v; published %v", test.letter, err, test.want, published)
		}
		if test.published {
			if a := published[0].Attributes; a[attrIdentity] != "b" || a[attrRegion] != "NA" || a[attrPublished] != "" || a[attrCode] != "" {
				t.Errorf("%s is published with %v", test.letter, a)
			}
		}
		if left := c.left(len(test.left)); left != test.left {
			t.Errorf("%s: left %s, want %s", test.letter, left, test.left)
		}
	}
}

// TestOrder replays events that share an ordering key: in the order in which
// they were first published, and with their key.
func TestOrder(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, c *cloud) {
		for i, name := range strings.Split("CAFBDE", "") {
			published := alexa.FormatTime(noon.Add(time.Duration(name[0]) * time.Second))
			c.bury(&pubsub.Message{Data: []byte(changeReport), OrderingKey: "u-1/lamp-1", Attributes: map[string]string{
				letterName: name, attrPublished: published, attrCode: strconv.Itoa(i),
			}})
		}
		if got := c.tally("--for-real"); got.Replayed != 6 {
			t.Errorf("%+v, want all replayed", got)
		}
		var order string
		for _, m := range c.delivered(6) {
			order += m.Attributes[letterName]
			if m.OrderingKey != "u-1/lamp-1" {
				t.Errorf("%s has the ordering key %q", m.Attributes[letterName], m.OrderingKey)
			}
		}
		if order != "ABCDEF" {
			t.Errorf("delivered in the order %s", order)
		}
	})
}

// TestForwarded replays what Pub/Sub itself made a dead letter.
func TestForwarded(t *testing.T) {
	t.Parallel()
	c := newEmulated(t)
	c.subscribe("failing", "device-events", func(s *pubsubpb.Subscription) {
		s.DeadLetterPolicy = &pubsubpb.DeadLetterPolicy{DeadLetterTopic: c.name("topics", "dead-letters"), MaxDeliveryAttempts: 5}
	})
	publisher := c.client.Publisher("device-events")
	defer publisher.Stop()
	attributes := map[string]string{letterName: "A", attrRegion: "EU"}
	published := publisher.Publish(t.Context(), &pubsub.Message{Data: []byte(changeReport), Attributes: attributes})
	if _, err := published.Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	original := c.delivered(1)[0]
	s := subscription{c.client.SubscriptionAdminClient, c.name("subscriptions", "failing")}
	for range 5 {
		messages, err := s.pull(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.extend(t.Context(), []string{messages[0].ackID}, 0); err != nil {
			t.Fatal(err)
		}
	}
	// It is moved when it would be delivered once more.
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if messages, err := s.pull(ctx); len(messages) != 0 || err != nil {
		t.Fatalf("pull() = %v, %v after 5 deliveries", messages, err)
	}
	if left := c.left(1); left != "A" {
		t.Fatalf("the dead letters are %q", left)
	}
	if got := c.tally("--for-real", "--reason", undelivered); got.Replayed != 1 {
		t.Fatalf("%+v, want one replayed", got)
	}
	replayed := c.delivered(1)[0]
	want := map[string]string{
		letterName: "A", attrRegion: "EU", attrPublished: alexa.FormatTime(original.PublishTime),
		attrIdentity: replayed.Attributes[attrIdentity], // of the dead letter, whose id only Pub/Sub knows
	}
	if diff := cmp.Diff(want, replayed.Attributes); diff != "" || want[attrIdentity] == "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
}

// TestLines shows everything about a message but its data.
func TestLines(t *testing.T) {
	t.Parallel()
	c := newCloud(t, cloudtest.Fake(t).Addr)
	began, looks := time.Now(), 0
	c.terminal, c.now = true, func() time.Time { // takes a second for everything
		looks++
		return began.Add(time.Duration(looks) * time.Second)
	}
	m := func(data string, attributes map[string]string) *pubsub.Message {
		attributes[attrPublished] = "2026-01-02T12:00:00.000Z"
		return &pubsub.Message{Data: []byte(data), Attributes: attributes}
	}
	c.bury(
		m(changeReport, map[string]string{attrReason: "dead_letter", attrCode: "A", attrRefusedBy: "EU", attrDescription: "no\x1b[31m\tgood"}),
		m(deleteReport, map[string]string{attrReason: "dead_letter", attrRegion: "NA"}),
		m(`{"secret":"canary"}`, map[string]string{attrCode: strings.Repeat("x", 300), attrRegion: "mars"}),
	)
	u1 := grant.CustomerHash("u-1")
	want := []string{
		"refused\t2026-01-02T12:00:00.000Z\tNA\tdead_letter\t" + u1 + "\tAlexa.Discovery.DeleteReport\t-\t-\t" + errStaleDelete.Error(),
		"refused\t2026-01-02T12:00:00.000Z\tmars\t" + strings.Repeat("x", 200) + "…\t-\t-\t-\t-\t" + errWrongRegion.Error(),
		"would replay\t2026-01-02T12:00:00.000Z\tEU\tA\t" + u1 + "\tAlexa.ChangeReport\tlamp-1\tno\ufffd[31m\ufffdgood",
	}
	status, stdout, stderr := c.replay()
	lines, rest, _ := strings.Cut(stdout, "read  ")
	got := strings.Split(strings.TrimSpace(lines), "\n")
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" || status != cli.StatusDone {
		t.Errorf("status %d, lines (-want +got):\n%s", status, diff)
	}
	for _, text := range []string{"older than 5m0s: 1.", "--as-new", "--force", "--set-region", "a dry run"} {
		if !strings.Contains(rest, text) {
			t.Errorf("the tally says nothing of %s:\n%s", text, rest)
		}
	}
	if want := "3 messages, "; !strings.Contains(stderr, want) || strings.Contains(stderr, "left") {
		t.Errorf("the progress is %q, want %q, without a time left", stderr, want)
	}
	if _, _, stderr := c.replay("--max", "4"); !strings.Contains(stderr, "/s, 25%, ") {
		t.Errorf("the progress of the first of 4 is %q, want a quarter", stderr)
	}
}

// asProgram in the environment makes the test binary the program itself, which
// a test can then send signals.
const asProgram = "REPLAY_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		cli.Main("test", new(grammar))
	}
	testkit.Main(m)
}

// process is the program in a process of its own. As a reactor of the fake it
// gets a signal when a call of some kind comes.
type process struct {
	*exec.Cmd
	stdout, stderr bytes.Buffer
	signal         syscall.Signal
	sent           sync.Once
	started, ended chan struct{}
}

func newProcess(signal syscall.Signal) *process {
	return &process{Cmd: new(exec.Cmd), signal: signal, started: make(chan struct{}), ended: make(chan struct{})}
}

// React sends the signal, and has the call fail that kills the program.
func (p *process) React(any) (handled bool, result any, err error) {
	select {
	case <-p.ended:
		return false, nil, nil
	case <-p.started:
	}
	// Once: a second one ends the program at once. It may be gone already.
	p.sent.Do(func() { _ = p.Process.Signal(p.signal) })
	if p.signal == syscall.SIGKILL {
		return true, nil, status.Error(codes.Unavailable, "broken")
	}
	return false, nil, nil
}

// run runs the program until it ends.
func (p *process) run(c *cloud, host string, args ...string) {
	c.Helper()
	p.Path, p.Args = os.Args[0], append([]string{
		os.Args[0], "replay", "--project", c.project, "--subscription", "dead-letters", "--topic", "device-events", "--idle", "2s",
	}, args...)
	p.Env = append(os.Environ(), asProgram+"=1", "PUBSUB_EMULATOR_HOST="+host)
	if p.Stdout == nil {
		p.Stdout = &p.stdout
	}
	p.Stderr = &p.stderr
	if err := p.Start(); err != nil {
		c.Fatal(err)
	}
	close(p.started)
	_ = p.Wait() // how it ended is in ProcessState
	close(p.ended)
}

func TestSignals(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			p := newProcess(signal)
			server := cloudtest.Fake(t, pstest.ServerReactorOption{FuncName: "Pull", Reactor: p})
			c := newCloud(t, server.Addr)
			c.bury(buried()...)
			p.run(c, server.Addr, "--for-real", "--json")
			if status := p.ProcessState.ExitCode(); status != cli.StatusFailed || !strings.Contains(p.stderr.String(), errInterrupted.Error()) {
				t.Fatalf("%v after %v, and it said %q", p.ProcessState, signal, p.stderr.String())
			}
			result := c.parse(p.stdout.String())
			delivered, left := names(c.delivered(result.Replayed)), c.left(result.Left)
			if !result.Interrupted || len(delivered) != result.Replayed || len(left) != result.Left {
				t.Errorf("delivered %s and left %s, but the tally is %+v", delivered, left, result)
			}
		})
	}
}

// TestReaderGone writes the list to somebody who has seen enough.
func TestReaderGone(t *testing.T) {
	t.Parallel()
	host := cloudtest.Fake(t).Addr
	c := newCloud(t, host)
	c.bury(buried()...)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = reader.Close()
	p := newProcess(0)
	p.Stdout = writer
	p.run(c, host)
	_ = writer.Close()
	if p.ProcessState.ExitCode() != cli.StatusFailed || !strings.Contains(p.stderr.String(), errInterrupted.Error()) {
		t.Errorf("%v, and it said %q", p.ProcessState, p.stderr.String())
	}
	if left := c.left(6); left != "ABCDEF" {
		t.Errorf("left %s, want all", left)
	}
}

// TestKilled kills the program between publish and acknowledgement. What it
// has published is published again by the next run, as the same events.
func TestKilled(t *testing.T) {
	t.Parallel()
	p := newProcess(syscall.SIGKILL)
	server := cloudtest.Fake(t, pstest.ServerReactorOption{FuncName: "Acknowledge", Reactor: p})
	c := newCloud(t, server.Addr)
	c.bury(buried()...)
	args := []string{"--for-real", "--force", "--set-region", "EU"}
	p.run(c, server.Addr, args...)
	if p.ProcessState.ExitCode() != -1 {
		t.Fatalf("%v, want killed", p.ProcessState)
	}
	before := identities(c.delivered(6))
	if len(before) != 6 {
		t.Errorf("delivered %v before it was killed, want all", before)
	}
	server.SetTimeNowFunc(func() time.Time { return time.Now().Add(leaseTime) })
	if left := c.left(6); left != "ABCDEF" {
		t.Errorf("left %s when the leases have run out, want all", left)
	}
	if got := c.tally(args...); got.Replayed != 6 {
		t.Errorf("the next run: %+v, want all replayed", got)
	}
	if diff := cmp.Diff(before, identities(c.delivered(6))); diff != "" {
		t.Errorf("the next run's events are others (-first +second):\n%s", diff)
	}
}

// identities returns the identities of events by their names.
func identities(messages []received) map[string]string {
	ids := make(map[string]string)
	for _, m := range messages {
		ids[m.Attributes[letterName]] = m.Attributes[attrIdentity]
	}
	return ids
}
