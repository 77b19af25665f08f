package functions_test

import (
	"fmt"
	"strings"
	"testing"

	"cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
)

// stack is what is deployed for one Alexa region: each function a process of
// its own, one database, one keyset.
type stack struct {
	region   alexa.Region
	database *firestore.Client

	acceptGrant, refreshTokens, refreshShard, sendEvent *binary.Process
}

// refreshShards is how many messages make a sweep.
const refreshShards = 4

// deploy starts a stack for every region and connects it to the topics.
func deploy(t *testing.T, c *cloud, a amazon) map[alexa.Region]*stack {
	t.Helper()
	stacks := make(map[alexa.Region]*stack)
	var all errgroup.Group
	for _, region := range alexa.Regions() {
		s := &stack{region: region, database: c.Database(t, databaseID(region))}
		stacks[region] = s
		env := stackEnv(t, c, a, region)
		for name, process := range map[string]**binary.Process{
			"AcceptGrant": &s.acceptGrant, "RefreshTokens": &s.refreshTokens, "RefreshShard": &s.refreshShard, "SendEvent": &s.sendEvent,
		} {
			all.Go(func() (err error) {
				if *process, err = start(t, with(env, map[string]string{"FUNCTION_TARGET": name})); err != nil {
					return err
				}
				return (*process).Ready(testkit.Context(t))
			})
		}
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	for region, s := range stacks {
		c.push(t, refreshTopic(region), "shards-"+string(region), s.refreshShard.URL()+"/", "")
		c.push(t, deviceEventsTopic, "events-"+string(region), s.sendEvent.URL()+"/", notFor(others(region)))
	}
	return stacks
}

func databaseID(region alexa.Region) string { return "gatepost-" + strings.ToLower(string(region)) }

func refreshTopic(region alexa.Region) string { return "refresh-" + strings.ToLower(string(region)) }

// others is the regions that another stack serves.
func others(region alexa.Region) []alexa.Region {
	var others []alexa.Region
	for _, other := range alexa.Regions() {
		if other != region {
			others = append(others, other)
		}
	}
	return others
}

// notFor is the filter that keeps events for other regions away.
func notFor(regions []alexa.Region) string {
	var terms []string
	for _, region := range regions {
		terms = append(terms, fmt.Sprintf(`NOT attributes.region = %q`, region))
	}
	return strings.Join(terms, " AND ")
}

// stackEnv is the configuration that all functions of a stack have in common.
func stackEnv(t *testing.T, c *cloud, a amazon, region alexa.Region) map[string]string {
	t.Helper()
	c.CreateTopic(t, refreshTopic(region))
	return with(a.env(region), map[string]string{
		"DEAD_LETTER_TOPIC":       deadLetterTopic,
		"FIRESTORE_DATABASE":      databaseID(region),
		"FIRESTORE_EMULATOR_HOST": c.FirestoreHost,
		"GOOGLE_CLOUD_PROJECT":    c.ID,
		"GRANT_EVENTS_TOPIC":      grantEventsTopic,
		"GRANT_STORE":             "firestore",
		"PUBSUB_EMULATOR_HOST":    c.PubSubHost,
		"REFRESH_SHARDS":          fmt.Sprint(refreshShards),
		"REFRESH_TOPIC":           refreshTopic(region),
		"TOKEN_KEYSET":            "file:" + newKeyset(t),
	})
}

// newKeyset writes a keyset to a file and returns its path.
func newKeyset(t *testing.T) string {
	t.Helper()
	path, keyset := testkit.Keyset(t)
	type key struct{ KeyData struct{ Value string } }
	for _, k := range decode[struct{ Key []key }](t, keyset.Reveal()).Key {
		shown.forbid(k.KeyData.Value)
	}
	return path
}
