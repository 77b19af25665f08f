package main

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
)

// buried is what the dead-letter topic holds: the letters A to F.
func buried() []*pubsub.Message {
	ago := func(d time.Duration) string { return alexa.FormatTime(time.Now().Add(-d)) }
	report := func(user string, attributes map[string]string) *pubsub.Message {
		attributes[attrReason], attributes[attrCustomer] = "dead_letter", grant.CustomerHash(user)
		return &pubsub.Message{Data: []byte(strings.Replace(changeReport, "u-1", user, 1)), Attributes: attributes}
	}
	return []*pubsub.Message{
		report("u-1", map[string]string{attrCode: "A", letterName: "A", attrRefusedBy: "EU", attrGrant: "g-1", attrIdentity: "a", attrPublished: ago(time.Hour)}),
		report("u-2", map[string]string{attrCode: "B", letterName: "B", attrRefusedBy: "NA", attrGrant: "g-2", attrIdentity: "b", attrPublished: ago(time.Minute)}),
		report("u-1", map[string]string{attrCode: "C", letterName: "C", attrRegion: "eu", attrIdentity: "c", attrPublished: ago(2 * time.Hour)}),
		{Data: []byte(deleteReport), Attributes: map[string]string{attrCode: "D", letterName: "D", attrIdentity: "d", attrPublished: ago(3 * time.Hour)}},
		{Data: []byte(changeReport), Attributes: map[string]string{attrCode: "E", letterName: "E", attrDeliveries: "100", attrSourceTopic: ago(time.Minute)}},
		{Data: []byte("?"), Attributes: map[string]string{attrCode: "F", letterName: "F", attrRegion: "NA", attrIdentity: "f", attrPublished: ago(time.Minute)}},
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
		{"all, forced", "-force -set-region EU", tally{Selected: 6, Replayed: 6, Expiring: 2}, "ABCDEF"},
		{"of Pub/Sub", "-reason undelivered", tally{Selected: 1, Replayed: 1}, "E"},
		{"of a user", "-user u-1 -region EU -code A -reason dead_letter", tally{Selected: 1, Replayed: 1, Expiring: 1}, "A"},
		{"of some time", "-since 150m -until 30m -as-new -set-region FE", tally{Selected: 2, Replayed: 2}, "AC"},
		{"none", "-code Z", tally{}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, c *cloud) {
				c.bury(buried()...)
				args := strings.Fields(test.args)
				want := test.want
				want.Read, want.Left = 6, 6-want.Replayed

				dry := want
				dry.DryRun, dry.Untried, dry.Replayed, dry.Left = true, want.Replayed, 0, 6
				if diff := cmp.Diff(dry, c.tally(args...)); diff != "" {
					t.Errorf("dry run (-want +got):\n%s", diff)
				}
				if left := c.left(6); left != "ABCDEF" {
					t.Errorf("the dry run left %s, want all", left)
				}
				if diff := cmp.Diff(want, c.tally(append(args, "-for-real")...)); diff != "" {
					t.Errorf("real run (-want +got):\n%s", diff)
				}
				if got := names(c.delivered(want.Replayed)); got != test.delivered {
					t.Errorf("delivered %s, want %s", got, test.delivered)
				}
				rest := strings.Map(func(c rune) rune {
					if strings.ContainsRune(test.delivered, c) {
						return -1
					}
					return c
				}, "ABCDEF")
				if left := c.left(len(rest)); left != rest {
					t.Errorf("left %s, want %s", left, rest)
				}
			})
		})
	}
}

// TestOrder replays events that share an ordering key: in the order in which
// they were first published, and with their key.
func TestOrder(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, c *cloud) {
		for i, name := range strings.Split("CAFBDE", "") {
			c.bury(&pubsub.Message{Data: []byte(changeReport), OrderingKey: "u-1/lamp-1", Attributes: map[string]string{
				letterName: name, attrPublished: alexa.FormatTime(noon.Add(time.Duration(name[0]) * time.Second)), attrCode: strconv.Itoa(i),
			}})
		}
		if got := c.tally("-for-real"); got.Replayed != 6 {
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
	if _, err := publisher.Publish(t.Context(), &pubsub.Message{Data: []byte(changeReport), Attributes: attributes}).Get(t.Context()); err != nil {
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
	if got := c.tally("-for-real", "-reason", undelivered); got.Replayed != 1 {
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
	c := newCloud(t, newServer(t).Addr)
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
	status, stdout, stderr := c.replay("-progress")
	lines, rest, _ := strings.Cut(stdout, "read  ")
	got := strings.Split(strings.TrimSpace(lines), "\n")
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" || status != exitOK {
		t.Errorf("status %d, lines (-want +got):\n%s", status, diff)
	}
	for _, text := range []string{"older than 5m0s: 1.", "-as-new", "-force", "-set-region", "a dry run"} {
		if !strings.Contains(rest, text) {
			t.Errorf("the tally says nothing of %s:\n%s", text, rest)
		}
	}
	if !strings.Contains(stderr, "read 3, selected 3,") {
		t.Errorf("the progress is %q", stderr)
	}
}
