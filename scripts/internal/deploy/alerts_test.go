//go:build !race

package deploy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/testkit/cloudfake"
)

// TestAlerts has Prometheus's promtool evaluate the PromQL of the planned alerts in
// several situations: which alerts fire, and which do not.
func TestAlerts(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("promtool"); err != nil {
		if os.Getenv("REQUIRE_PROMTOOL") == "1" {
			t.Fatal("promtool is not on the PATH")
		}
		t.Skip("the alerts' queries are not tried: promtool is not on the PATH")
	}
	dir := t.TempDir()
	settings := settingsWith(t, settingsFile, object{"canary": object{"EU": object{"user_id": "canary-eu", "endpoint_id": "lamp-1"}}})
	plan, err := startTerraform(t, dir, cloudfake.NewGoogle(t), cloudfake.NewAmazon(t)).plan(settings)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, value any) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(compact(value)), 0o600); err != nil { // JSON is YAML too
			t.Fatal(err)
		}
		return path
	}
	rules := write("rules.yaml", object{"groups": []object{{"name": "gatepost", "interval": "1m", "rules": alertRules(t, plan)}}})

	var tests []object
	for _, one := range situations {
		var series, want []object
		for name, each := range one.series {
			if !strings.Contains(each, "x") {
				each += "x400" // one a minute
			}
			series = append(series, object{"series": name, "values": each})
		}
		for _, alert := range strings.Fields(one.fires) {
			want = append(want, object{"labels": fmt.Sprintf("{alertname=%q}", alert), "value": 1})
		}
		silent := `no-sweep.*|canary.*`
		if one.missing {
			silent = ""
		}
		tests = append(tests, object{"interval": "1m", "name": one.name, "input_series": series, "promql_expr_test": []object{{
			"expr":        fmt.Sprintf("count by (alertname) (ALERTS{alertstate=\"firing\",alertname!~%q})", silent),
			"eval_time":   cmp.Or(one.at, "390m"),
			"exp_samples": want,
		}}})
	}
	file := write("situations.yaml", object{"rule_files": []string{rules}, "evaluation_interval": "1m", "tests": tests})
	if out, err := exec.CommandContext(t.Context(), "promtool", "test", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// alertRules returns the planned alert policies in PromQL as rules of Prometheus.
func alertRules(t *testing.T, plan []byte) (rules []object) {
	t.Helper()
	var planned struct {
		Changes []struct {
			Address string
			Index   any // the key of for_each, or a number of count
			Change  struct {
				After struct {
					Conditions []struct {
						PromQL []struct{ Query, Duration string } `json:"condition_prometheus_query_language"`
					}
				}
			}
		} `json:"resource_changes"`
	}
	if err := json.Unmarshal(plan, &planned); err != nil {
		t.Fatal(err)
	}
	for _, one := range planned.Changes {
		if strings.Contains(one.Address, "google_monitoring_alert_policy.promql") {
			condition := one.Change.After.Conditions[0].PromQL[0]
			rules = append(rules, object{"alert": one.Index, "expr": condition.Query, "for": condition.Duration})
		}
	}
	if !slices.ContainsFunc(rules, func(rule object) bool { return rule["alert"] == "canary-eu" }) {
		t.Fatalf("rules = %v", rules)
	}
	return rules
}

// The series of Cloud Run and of the log-based metrics in the region EU.
const (
	inEU    = `{monitored_resource="cloud_run_revision",region="eu"`
	logged  = "logging_googleapis_com:user_gatepost_"
	events  = logged + "events" + inEU + ",outcome="
	links   = logged + "links" + inEU + ",outcome="
	inTime  = logged + "delivered_ms_bucket" + inEU + `,le="3000.0"}`
	all     = logged + "delivered_ms_count" + inEU + "}"
	calls   = `run_googleapis_com:request_count{monitored_resource="cloud_run_revision",response_code_class="2xx",service_name=`
	busy    = `run_googleapis_com:container_instance_count{monitored_resource="cloud_run_revision",state="active",service_name=`
	letters = `pubsub_googleapis_com:subscription_dead_letter_message_count{monitored_resource="pubsub_subscription",subscription_id=`
	topics  = `pubsub_googleapis_com:topic_message_sizes_count{monitored_resource="pubsub_topic",topic_id=`
	oldest  = `pubsub_googleapis_com:subscription_oldest_unacked_message_age{monitored_resource="pubsub_subscription",subscription_id=`
	waiting = `pubsub_googleapis_com:subscription_num_undelivered_messages{monitored_resource="pubsub_subscription",subscription_id=`
	taken   = `pubsub_googleapis_com:subscription_push_request_count{monitored_resource="pubsub_subscription",response_class="ack",subscription_id=`
	queue   = `"gatepost-eu-device-events"}`
)

// situations have series, with their values in promtool's notation: 0+5 grows by five a
// minute. With missing, the alerts on what is absent are checked too.
var situations = []struct {
	name    string
	series  map[string]string
	fires   string
	missing bool
	at      string // 390m without it
}{
	{name: "nothing ever happened", missing: true, fires: "canary-eu no-sweep-eu no-sweep-fe no-sweep-na"},
	{name: "the first sweep of a new stack is not seen yet", missing: true, at: "9m"},
	{
		name: "sweeps ended 17 minutes ago", missing: true, at: "317m", fires: "no-sweep-eu",
		series: map[string]string{
			calls + `"gatepost-eu-refreshtokens"}`: "0+1x300 300+0x100",
			calls + `"gatepost-fe-refreshtokens"}`: "0+1",
			calls + `"gatepost-na-refreshtokens"}`: "0+1",
			logged + "canary" + inEU + "}":         "0+1",
		},
	},
	{name: "all is well", missing: true, series: map[string]string{
		events + `"accepted"}`:                 "0+100",
		events + `"suspended"}`:                "0+0.2",
		links + `"accepted"}`:                  "0+2",
		inTime:                                 "0+99",
		all:                                    "0+100",
		calls + `"gatepost-eu-refreshtokens"}`: "0+1",
		calls + `"gatepost-fe-refreshtokens"}`: "0+1",
		calls + `"gatepost-na-refreshtokens"}`: "0+1",
		busy + `"gatepost-eu-sendevent"}`:      "3+0",
		busy + `"gatepost-eu-refreshshard"}`:   "10+0",
		topics + `"device-events"}`:            "0+100",
		oldest + `"dead-letters"}`:             "3600+0",
		logged + "canary" + inEU + "}":         "0+0.2",
	}},
	{
		name: "Send Alexa Events is off", fires: "refused-events slo-delivered-fast slo-delivered-slow",
		series: map[string]string{events + `"accepted"}`: "0+1", events + `"suspended"}`: "0+50"},
	},
	{
		name:   "Send Alexa Events was off until three hours ago",
		series: map[string]string{events + `"accepted"}`: "0+0x210 0+50x190", events + `"suspended"}`: "0+50x210 10500+0x190"},
	},
	{name: "a few events are all refused", fires: "refused-events", series: map[string]string{events + `"suspended"}`: "0+0.02"}},
	{name: "a few links all fail", fires: "failed-links", series: map[string]string{links + `"failed",failure="grantee"}`: "0+0.01"}},
	{name: "nothing takes events", fires: "late-events", series: map[string]string{oldest + queue: "200+0", waiting + queue: "21+0"}},
	{
		name: "events come faster than they are taken", fires: "late-events",
		series: map[string]string{oldest + queue: "200+0", waiting + queue: "2000+0", taken + queue: "0+1000"},
	},
	{
		name:   "an endpoint reports without a pause",
		series: map[string]string{oldest + queue: "200+0", waiting + queue: "900+0", taken + queue: "0+1000"},
	},
	{
		name:   "one event of few is retried",
		series: map[string]string{oldest + queue: "5000+0", waiting + queue: "1+0", taken + queue: "0+0.01"},
	},
	{name: "nothing takes a few events", fires: "late-events", series: map[string]string{oldest + queue: "11000+0", waiting + queue: "3+0"}},
	{
		name: "one event in twenty is refused", fires: "slo-delivered-slow",
		series: map[string]string{events + `"accepted"}`: "0+95", events + `"suspended"}`: "0+5"},
	},
	{
		name:   "one customer is refused",
		series: map[string]string{events + `"accepted"}`: "0+0.05", events + `"suspended"}`: "0+0.05"},
	},
	{
		name:   "seven events of a hundred are refused",
		series: map[string]string{events + `"accepted"}`: "0+0.3", events + `"suspended"}`: "0+0.02"},
	},
	{
		name:   "one link of few fails",
		series: map[string]string{links + `"accepted"}`: "0+0.05", links + `"failed",failure="grantee"}`: "0+0.004"},
	},
	{
		name: "the identity provider fails", fires: "failed-links slo-linked-fast slo-linked-slow",
		series: map[string]string{links + `"accepted"}`: "0+1", links + `"failed",failure="grantee"}`: "0+1"},
	},
	{
		name: "codes are refused", fires: "failed-links",
		series: map[string]string{links + `"accepted"}`: "0+1", links + `"failed",failure="code"}`: "0+1"},
	},
	{name: "most are slow", fires: "slo-fresh-fast slo-fresh-slow", series: map[string]string{inTime: "0+10", all: "0+100"}},
	{name: "some are slow", fires: "slo-fresh-slow", series: map[string]string{inTime: "0+60", all: "0+100"}},
	{name: "all instances are busy", fires: "instances", series: map[string]string{busy + `"gatepost-eu-sendevent"}`: "10+0"}},
	{
		name: "events renew", fires: "token-health",
		series: map[string]string{events + `"accepted"}`: "0+100", logged + "renewed" + inEU + "}": "0+10"},
	},
	{name: "shards are left", fires: "sweeps-behind", series: map[string]string{logged + "shards_behind" + inEU + "}": "0+1"}},
	{name: "shards that nothing takes", fires: "dead-letters", series: map[string]string{letters + `"gatepost-eu-refresh"}`: "0+1"}},
	{
		name: "dead letters", fires: "dead-letters old-dead-letters",
		series: map[string]string{topics + `"dead-letters"}`: "0+1", oldest + `"refresh-dead-letters"}`: "90000+0"},
	},
}
