package doctor

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

// TestHealthy: what scripts/deploy makes is well, but for the warning that the settings
// give no audience.
func TestHealthy(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args    string
		skipped int // checks
	}{
		{"--settings=" + settings, 0},
		{"--settings=" + settings + " --before", 0},
		{"--project=maker-prod", 4}, // which need the settings
	} {
		t.Run(test.args, func(t *testing.T) {
			t.Parallel()
			status, findings := newWorld(t).examine(strings.Fields(test.args)...)
			made, n := map[string]bool{}, map[string]int{}
			for _, f := range findings {
				made[f.Category+f.Check] = true
				n[f.Severity]++
				if f.Severity == Broken || f.Severity == Odd && f.Check != "audience" || f.Found == "" {
					t.Errorf("%+v", f)
				}
			}
			if status != cli.StatusDone || n[Odd] != 1 || n[Unchecked] != test.skipped {
				t.Errorf("status %d, %v", status, n)
			}
			in := map[bool]int{true: before, false: after}[strings.Contains(test.args, "--before")]
			for _, c := range checks {
				if c.in&in != 0 != made[c.category+c.name] {
					t.Errorf("%s %s: made %t", c.category, c.name, made[c.category+c.name])
				}
			}
		})
	}
}

// wantOnly wants one finding of a severity, of a check and with a sentence, and none of
// another category that is worse than the healthy deployment's.
func wantOnly(t *testing.T, findings []Finding, severity, check, sentence string) {
	t.Helper()
	found := false
	var of Finding
	for _, f := range findings {
		if f.Check == check {
			of = f
		}
	}
	for _, f := range findings {
		said := strings.Split(f.Found, "; ")
		if slices.Sort(said); len(slices.Compact(said)) < strings.Count(f.Found, "; ")+1 {
			t.Errorf("%s: something is said twice: %s", f.Check, f.Found)
		}
		switch {
		case f.Check == check && f.Severity == severity && strings.Contains(f.Found, sentence):
			found = severity == Well || f.Do != "" && f.Link != ""
		case f.Category != of.Category && (f.Severity == Broken || f.Severity == Odd && f.Check != "audience"):
			t.Errorf("%+v", f)
		}
	}
	if !found {
		t.Errorf("%s: no finding that is %s with %q in %+v", check, severity, sentence, of)
	}
}

// allows returns a policy of one binding.
func allows(role string, members ...any) object {
	return object{"bindings": []any{object{"role": role, "members": members}}}
}

// TestBroken spoils the healthy deployment in one way each.
func TestBroken(t *testing.T) {
	t.Parallel()
	const proxy = "serviceAccount:gatepost-eu-proxy@maker-prod.iam.gserviceaccount.com"
	for _, test := range []struct {
		name            string
		spoil           func(w *world)
		severity, check string
		sentence        string
	}{
		{"API disabled", func(w *world) { w.remove("services/sts.googleapis.com") }, Broken, "APIs", "sts.googleapis.com is not enabled"},
		{"secret missing", func(w *world) { delete(w.secrets, "gatepost-token-keyset-eu") }, Broken, "keyset", "not found"},
		{"secret unreadable", func(w *world) { w.secrets["gatepost-token-keyset-eu"] = "" },
			Unchecked, "keyset", "roles/secretmanager.secretAccessor"},
		{"keyset is something else", func(w *world) { w.secrets["gatepost-token-keyset-eu"] = `{"` + canary + `":1}` },
			Broken, "keyset", "gatepost-token-keyset-eu: "},
		{"provider is gone", func(w *world) { w.provider = http.NotFound }, Broken, "refuses a made-up token", "404"},
		{"provider has another issuer", func(w *world) {
			w.provider = func(rw http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(rw, `{"issuer":"https://id.maker.example/"}`)
			}
		}, Broken, "refuses a made-up token", "issuer"},
		{"function failed", func(w *world) {
			w.set("functions/gatepost-eu-sendevent", "state", "FAILED")
			w.set("functions/gatepost-eu-sendevent", "stateMessages", []any{object{"message": "no quota for builds"}})
		}, Broken, "active", "SendEvent is FAILED: no quota for builds"},
		{"function is being deployed", func(w *world) { w.set("functions/gatepost-eu-sendevent", "state", "DEPLOYING") },
			Broken, "active", "SendEvent is DEPLOYING"},
		{"function is of another region", func(w *world) {
			w.set("functions/gatepost-eu-sendevent", "serviceConfig.environmentVariables.ALEXA_REGIONS", "NA")
		}, Broken, "as in the settings", "SendEvent: ALEXA_REGIONS is not as in the settings"},
		{"function has a secret in its environment", func(w *world) {
			w.set("functions/gatepost-eu-sendevent", "serviceConfig.environmentVariables.LWA_CREDENTIALS", canary)
		}, Broken, "as in the settings", "SendEvent: LWA_CREDENTIALS is not as in the settings"},
		{"function asks another gateway", func(w *world) {
			w.set("functions/gatepost-eu-sendevent", "serviceConfig.environmentVariables.EVENT_GATEWAY_EU", "https://example.com")
		}, Odd, "as in the settings", "SendEvent: EVENT_GATEWAY_EU is set, and not in the settings"},
		{"function has few instances", func(w *world) { w.set("functions/gatepost-eu-acceptgrant", "serviceConfig.minInstanceCount", nil) },
			Broken, "as in the settings", "AcceptGrant: serviceConfig.minInstanceCount is not set, want 1"},
		{"two versions", func(w *world) {
			w.log("sendevent", time.Minute, "INFO", object{"message": "ready", "version": "v1.2.2"})
		},
			Odd, "version", "v1.2.2: sendevent; v1.2.3: acceptgrant, refreshshard"},
		{"open to everybody", func(w *world) {
			w.resources["projects/maker-prod/locations/europe-west1/services/gatepost-eu-acceptgrant:policy"] =
				allows("roles/run.invoker", "allUsers", proxy)
		}, Broken, "invokers", "allUsers may call AcceptGrant"},
		{"another invoker", func(w *world) {
			w.resources["projects/maker-prod/locations/europe-west1/services/gatepost-eu-acceptgrant:policy"] =
				allows("roles/run.invoker", "user:me@example.com", proxy)
		}, Odd, "invokers", "user:me@example.com may call AcceptGrant"},
		{"caller without right", func(w *world) { w.remove("services/gatepost-eu-sendevent:policy") },
			Broken, "invokers", "gatepost-eu-push-sendevent may not call SendEvent"},
		{"IAM check is off", func(w *world) { w.door = http.StatusMethodNotAllowed },
			Broken, "no entry without a token", "AcceptGrant answers 405, want 403"},
		{"IAM check of an internal function is off", func(w *world) { w.open = "refreshshard" },
			Broken, "no entry without a token", "RefreshShard: the IAM check is off"},
		{"Pub/Sub has no tokens", func(w *world) { w.remove("gatepost-eu-push-sendevent@maker-prod.iam.gserviceaccount.com:policy") },
			Broken, "callers", "lacks roles/iam.serviceAccountTokenCreator"},
		{"another role speaks as the caller", func(w *world) {
			policy := w.find("gatepost-eu-proxy@maker-prod.iam.gserviceaccount.com:policy")["bindings"].([]any)[0].(object)
			policy["members"] = append(policy["members"].([]any), "principalSet://all")
		}, Odd, "callers", "principalSet://all may get tokens of gatepost-eu-proxy"},
		{"provider disabled", func(w *world) { w.set("providers/aws-lambda", "disabled", true) }, Broken, "federation", "aws-lambda is disabled"},
		{"another role may call", func(w *world) { w.set("providers/aws-lambda", "attributeCondition", "true") },
			Broken, "federation", "attributeCondition is true, want google.subject in ["},
		{"database without right", func(w *world) { w.remove("projects/maker-prod:policy") },
			Broken, "of the functions", "gatepost-eu-acceptgrant lacks roles/datastore.user"},
		{"right on another database", func(w *world) {
			condition := w.find("projects/maker-prod:policy")["bindings"].([]any)[3].(object)["condition"].(object)
			condition["expression"] = `resource.name == "projects/maker-prod/databases/gatepost-eu-2"`
		}, Broken, "of the functions", "gatepost-eu-acceptgrant lacks roles/datastore.user"},
		{"topic without right", func(w *world) { w.remove("topics/grant-events:policy") },
			Broken, "of the functions", "gatepost-eu-sendevent lacks roles/pubsub.publisher on topics/grant-events"},
		{"policies may not be read", func(w *world) { w.forbidden = "topics/grant-events:getIamPolicy" },
			Unchecked, "of the functions", "you may not read topics/grant-events, which takes roles/iam.securityReviewer: "},
		{"functions may not be read", func(w *world) { w.forbidden = "functions/gatepost-eu-refreshtokens" },
			Unchecked, "job", "you may not read the function RefreshTokens, which takes roles/viewer"},
		{"functions of subscriptions may not be read", func(w *world) { w.forbidden = "functions/gatepost-eu-sendevent" },
			Unchecked, "subscription of device events", "you may not read the function SendEvent"},
		{"functions of the Lambda may not be read", func(w *world) { w.forbidden = "functions/gatepost-eu-skillevent" },
			Unchecked, "Lambda", "you may not read the function SkillEvent"},
		{"door may not be read", func(w *world) { w.forbidden = "functions/gatepost-eu-acceptgrant" },
			Unchecked, "no entry without a token", "you may not read the function AcceptGrant"},
		{"database may not be read", func(w *world) { w.forbidden = "databases/gatepost-eu" },
			Unchecked, "database", "which takes roles/viewer"},
		{"API of the job disabled", func(w *world) { w.disabled = "cloudscheduler" }, Broken, "job", "could not be read: calling cloudscheduler"},
		{"no filter", func(w *world) { w.set("subscriptions/gatepost-eu-device-events", "filter", nil) },
			Broken, "subscription of device events", "filter is not set, want NOT attributes.region"},
		{"push without identity", func(w *world) { w.set("subscriptions/gatepost-eu-device-events", "pushConfig.oidcToken", nil) },
			Broken, "subscription of device events", "pushConfig.oidcToken.serviceAccountEmail is not set"},
		{"subscription expires", func(w *world) { w.set("subscriptions/gatepost-eu-device-events", "expirationPolicy.ttl", "2678400s") },
			Broken, "subscription of device events", "expirationPolicy.ttl is 2678400s, want not set"},
		{"no back-off", func(w *world) { w.set("subscriptions/gatepost-eu-device-events", "retryPolicy", nil) },
			Broken, "subscription of device events", "retryPolicy.minimumBackoff is not set, want 5s"},
		{"few attempts", func(w *world) {
			w.set("subscriptions/gatepost-eu-device-events", "deadLetterPolicy.maxDeliveryAttempts", 5)
		},
			Broken, "subscription of device events", "deadLetterPolicy.maxDeliveryAttempts is 5, want 100"},
		{"old address", func(w *world) {
			w.set("subscriptions/gatepost-eu-refresh", "pushConfig.pushEndpoint", "https://old.example")
		},
			Broken, "subscription of shards", "pushConfig.pushEndpoint is https://old.example"},
		{"no dead letters", func(w *world) { w.remove("subscriptions/gatepost-eu-device-events:policy") },
			Broken, "dead letters", "service-123456789012 lacks roles/pubsub.subscriber on subscriptions/gatepost-eu-device-events"},
		{"no topic for dead letters", func(w *world) { w.remove("topics/refresh-dead-letters:policy") },
			Broken, "dead letters", "service-123456789012 lacks roles/pubsub.publisher on topics/refresh-dead-letters"},
		{"no subscription for dead letters", func(w *world) { w.remove("subscriptions/dead-letters") },
			Broken, "dead letters", "there is no subscriptions/dead-letters"},
		{"dead letters wait", func(w *world) { w.metrics["dead-letters num_undelivered_messages"] = 7 },
			Odd, "dead letters", "7 wait in dead-letters"},
		{"backlog", func(w *world) { w.metrics["gatepost-eu-device-events oldest_unacked_message_age"] = 400 },
			Broken, "backlog", "the oldest event waits for 6m40s: reports expire after 5m0s"},
		{"some backlog", func(w *world) { w.metrics["gatepost-eu-device-events oldest_unacked_message_age"] = 200 },
			Odd, "backlog", "the oldest event waits for 3m20s"},
		{"database without protection", func(w *world) { w.set("databases/gatepost-eu", "deleteProtectionState", nil) },
			Odd, "database", "not protected against deletion"},
		{"index is built", func(w *world) { w.set("indexes/index0", "state", "CREATING") },
			Broken, "index", "state is CREATING, want READY"},
		{"no index", func(w *world) { w.remove("indexes/index0") }, Broken, "index", "no sweep can read what is due"},
		{"no TTL", func(w *world) { w.set("deliveries/fields/expireAt", "ttlConfig", nil) },
			Broken, "fields", "deliveries.expireAt: ttlConfig.state is not set, want ACTIVE"},
		{"accounts cannot be found", func(w *world) { w.set("accounts/fields/customer", "indexConfig", nil) },
			Broken, "fields", "accounts.customer is not indexed"},
		{"every field indexed", func(w *world) { w.set("customers/fields/*", "indexConfig.usesAncestorConfig", true) },
			Odd, "fields", "every field of customers is indexed"},
		{"job paused", func(w *world) { w.set("jobs/gatepost-eu-refresh", "state", "PAUSED") }, Broken, "job", "state is PAUSED, want ENABLED"},
		{"job fails", func(w *world) { w.set("jobs/gatepost-eu-refresh", "status", object{"code": 7}) }, Broken, "job", "failed with code 7"},
		{"job stands still", func(w *world) {
			w.set("jobs/gatepost-eu-refresh", "lastAttemptTime", now.Add(-time.Hour).Format(time.RFC3339))
		}, Broken, "job", "its last run was at 2026-11-28T14:30:00Z"},
		{"no sweeps", func(w *world) { w.lines = w.lines[:4] }, Broken, "keeps up", "no shard was swept in the last 30 minutes"},
		{"sweeps do not keep up", func(w *world) {
			w.log("refreshshard", time.Minute, "WARNING", object{"function": "RefreshShard", "remaining": true, "left": 1_234_567})
			w.log("refreshshard", 20*time.Minute, "WARNING", object{"function": "RefreshShard", "remaining": true, "left": 200})
		}, Broken, "keeps up", "1234567 in the last 15m0s, 200 before"},
		{"sweeps of many shards do not catch up", func(w *world) {
			for range 1000 {
				w.log("refreshshard", time.Second, "INFO", object{"function": "RefreshShard", "left": 0})
			}
			w.log("refreshshard", time.Minute, "WARNING", object{"function": "RefreshShard", "remaining": true, "left": 100})
			w.log("refreshshard", 20*time.Minute, "WARNING", object{"function": "RefreshShard", "remaining": true, "left": 90})
		}, Broken, "keeps up", "100 in the last 15m0s, 90 before"},
		{"sweeps catch up", func(w *world) {
			w.log("refreshshard", time.Minute, "WARNING", object{"function": "RefreshShard", "remaining": true, "left": 100})
			w.log("refreshshard", 20*time.Minute, "WARNING", object{"function": "RefreshShard", "remaining": true, "left": 200})
		}, Odd, "keeps up", "fewer than before"},
		{"shards are late", func(w *world) {
			w.log("refreshshard", time.Minute, "WARNING", object{"function": "RefreshShard", "late": true})
		}, Odd, "keeps up", "1 shards waited"},
		{"client refused in sweeps", func(w *world) {
			w.log("refreshshard", time.Minute, "ERROR", object{"function": "RefreshShard", "error_client_refused": "refresh: client refused"})
		}, Broken, "refreshes", "client_refused: refresh: client refused"},
		{"brake latched", func(w *world) {
			w.log("refreshshard", 65*time.Minute, "ERROR", object{"function": "RefreshShard", "error_brake": "the brake is latched"})
		}, Broken, "refreshes", "brake: the brake is latched"},
		{"brake latched beside another error", func(w *world) {
			w.log("refreshshard", time.Minute, "ERROR", object{
				"function": "RefreshShard", "error_brake": "the brake is latched", "error_client_refused": "client refused",
			})
		}, Broken, "refreshes", "brake: the brake is latched; client_refused: client refused"},
		{"Login with Amazon is ill", func(w *world) {
			w.log("refreshshard", time.Minute, "WARNING", object{"function": "RefreshShard", "error_login_with_amazon": "status 503"})
		}, Odd, "refreshes", "login_with_amazon: status 503"},
		{"wrong client secret", func(w *world) {
			w.secrets["gatepost-lwa-credentials"] = `{"client_id":"amzn1.application-oa2-client.wrong","client_secret":"` + canary + `"}`
		}, Broken, "LWA client", "exchange: client refused"},
		{"old client secret is left", func(w *world) {
			first, _ := strings.CutSuffix(w.secrets["gatepost-lwa-credentials"], "]")
			w.secrets["gatepost-lwa-credentials"] = first + `,{"client_id":"amzn1.application-oa2-client.old","client_secret":"` + canary + `"}]`
		}, Odd, "LWA client", "credentials 2: login with amazon: exchange: client refused"},
		{"gateway is down", func(w *world) {
			w.amazon.Always(simulator.Gateway("EU"), simulator.Fault{Code: simulator.ServiceUnavailable})
		}, Broken, "event gateway", "unavailable"},
		{"no AWS CLI", func(w *world) { w.noAWS = exec.ErrNotFound }, Unchecked, "Lambda", "the AWS CLI is not installed here"},
		{"no Lambda", func(w *world) { w.remove("lambda gatepost-skill-proxy-eu") },
			Broken, "Lambda", "there is no Lambda gatepost-skill-proxy-eu in eu-west-1"},
		{"Lambda's time-out", func(w *world) { w.set("lambda gatepost-skill-proxy-eu", "Timeout", 3) }, Broken, "Lambda", "Timeout is 3, want 8"},
		{"Lambda's memory", func(w *world) { w.set("lambda gatepost-skill-proxy-eu", "MemorySize", 64) },
			Broken, "Lambda", "MemorySize is 64, want 128 or more"},
		{"Lambda calls another function", func(w *world) {
			w.set("lambda gatepost-skill-proxy-eu", "Environment.Variables.ACCEPT_GRANT_URL", "https://"+canary)
		}, Broken, "Lambda", "ACCEPT_GRANT_URL is not https://gatepost-eu-acceptgrant"},
		{"another skill's trigger", func(w *world) {
			statement := w.find("policy gatepost-skill-proxy-eu")["Statement"].([]any)[1].(object)
			statement["Condition"] = object{"StringEquals": object{"lambda:EventSourceToken": "amzn1.ask.skill.other"}}
		}, Broken, "triggers", "alexa-appkit.amazon.com may invoke it for another skill"},
		{"no trigger", func(w *world) { w.remove("policy gatepost-skill-proxy-eu") },
			Broken, "triggers", "nothing may invoke gatepost-skill-proxy-eu for the skill"},
		{"no trigger for skill events", func(w *world) {
			policy := w.find("policy gatepost-skill-proxy-eu")
			policy["Statement"] = policy["Statement"].([]any)[:1]
		}, Broken, "triggers", "alexa-appkit.amazon.com may not invoke it for the skill, so it gets no skill events"},
		{"role without its path", func(w *world) { w.edit(&w.settings, `"grantee"`, `"role_path": "/gatepost/", "grantee"`) }, Broken, "Lambda",
			"Role is arn:aws:iam::123456789012:role/gatepost-skill-proxy-eu, want arn:aws:iam::123456789012:role/gatepost/gatepost-skill-proxy-eu"},
		{"no permission to send events", func(w *world) { w.edit(&w.manifest, "alexa::async_event:write", "alexa::other") },
			Broken, "permission", "alexa::async_event:write is not among"},
		{"endpoint of another region", func(w *world) {
			w.edit(&w.manifest, `"EU": {"endpoint": {"uri": "arn:aws:lambda:eu-west-1`, `"EU": {"endpoint": {"uri": "arn:aws:lambda:us-east-1`)
		}, Broken, "endpoint", "EU: it calls arn:aws:lambda:us-east-1:"},
		{"another Lambda", func(w *world) {
			w.edit(&w.manifest, `"EU": {"endpoint": {"uri": "arn:aws:lambda:eu-west-1:123456789012:function:gatepost`,
				`"EU": {"endpoint": {"uri": "arn:aws:lambda:eu-west-1:123456789012:function:other`)
		}, Broken, "endpoint", "want arn:aws:lambda:eu-west-1:123456789012:function:gatepost-skill-proxy-eu"},
		{"no skill events", func(w *world) { w.edit(&w.manifest, "SKILL_DISABLED", "SKILL_OTHER") }, Odd, "skill events", "does not subscribe"},
		{"skill events to nowhere", func(w *world) {
			w.edit(&w.manifest, `"events": {
      "endpoint": {"uri": "arn:aws:lambda:eu-west-1:123456789012:function:gatepost-skill-proxy-eu"}`, `"events": {"endpoint": {}`)
		}, Broken, "skill events", "EU: it calls nothing, want arn:aws:lambda:eu-west-1:"},
		{"not proactively reported", func(w *world) { w.edit(&w.discovery, `"proactivelyReported": true`, `"proactivelyReported": false`) },
			Broken, "proactively reported", "Alexa.PowerController of lamp-1 is not proactivelyReported"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			test.spoil(w)
			status, findings := w.examine("--settings=" + w.settings)
			if wants := test.severity == Broken; wants != (status == cli.StatusFailed) {
				t.Errorf("status %d", status)
			}
			wantOnly(t, findings, test.severity, test.check, test.sentence)
		})
	}
}

// TestSwapped: where the client id should be, the secret is not shown, nor its end.
func TestSwapped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.secrets["gatepost-lwa-credentials"] = `{"client_id":"` + canary + `-q7Zx41","client_secret":"amzn1.application-oa2-client.fake"}`
	_, stdout, stderr := w.doctor("--settings="+settings, "--regions=EU")
	for _, want := range []string{"‼ client credentials: credentials 1: client_id is not a client id", "× LWA client: client ?: "} {
		if !strings.Contains(stdout, want) || strings.Contains(stdout+stderr, "q7Zx41") {
			t.Errorf("want %q, and not the end of the secret:\n%s%s", want, stdout, stderr)
		}
	}
}

// edit gives the run a changed copy of a file.
func (w *world) edit(file *string, old, text string) {
	w.Helper()
	data, err := os.ReadFile(*file)
	changed := strings.Replace(string(data), old, text, 1)
	if err != nil || changed == string(data) {
		w.Fatalf("%s has no %s, %v", *file, old, err)
	}
	*file = filepath.Join(w.TempDir(), "changed.json")
	if err := os.WriteFile(*file, []byte(changed), 0o600); err != nil {
		w.Fatal(err)
	}
}

// TestBrokenBefore spoils what a deployment needs.
func TestBrokenBefore(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name            string
		spoil           func(w *world)
		severity, check string
		sentence        string
	}{
		{"API disabled", func(w *world) { w.remove("services/sts.googleapis.com") }, Odd, "APIs", "sts.googleapis.com is not enabled"},
		{"no Cloud Resource Manager", func(w *world) { w.disabled = "cloudresourcemanager" },
			Odd, "project", "cloudresourcemanager.googleapis.com is not enabled: enable it to check this"},
		{"no Cloud Resource Manager for the rights", func(w *world) { w.disabled = "cloudresourcemanager" },
			Odd, "your rights", "cloudresourcemanager.googleapis.com is not enabled: enable it to check this"},
		{"right missing", func(w *world) { w.granted = permissions[1:] }, Broken, "your rights", "you lack serviceusage.services.enable"},
		{"rights of bucket and alerts missing", func(w *world) { w.granted = permissions[:len(permissions)-3] }, Broken, "your rights",
			"you lack storage.buckets.create; you lack storage.objects.create; you lack monitoring.alertPolicies.create"},
		{"quota", func(w *world) { w.cpuQuota = 5000 }, Broken, "quotas",
			"10 instances of AcceptGrant need 10000 of CpuAllocPerProjectRegion in europe-west1, but the limit is 5000"},
		{"quota of memory", func(w *world) {
			w.edit(&w.settings, `"grantee"`, `"scaling": {"SendEvent": {"memory": "8Gi"}}, "grantee"`)
		},
			Broken, "quotas", "10 instances of SendEvent need 85899345920 of MemAllocPerProjectRegion"},
		{"no builds", func(w *world) { w.buildCPUs = 0 }, Broken, "builds", "the quota Concurrent Build CPUs is 0 in europe-west1"},
		{"quota is not listed", func(w *world) { w.buildCPUs = -1 }, Unchecked, "builds",
			"cloudbuild.googleapis.com/concurrent_public_pool_build_cpus is not listed"},
		{"quotas may not be read", func(w *world) { w.disabled = "cloudquotas" }, Unchecked, "builds", "enable cloudquotas.googleapis.com"},
		{"no runtime", func(w *world) { w.runtime["environment"] = "GEN_1" }, Broken, "runtime", "there is no go126 in europe-west1"},
		{"runtime is gone", func(w *world) { w.runtime["stage"] = "DECOMMISSIONED" }, Broken, "runtime", "go126 is DECOMMISSIONED"},
		{"runtime is old", func(w *world) { w.runtime["stage"] = "DEPRECATED" }, Odd, "runtime", "go126 is DEPRECATED"},
		{"policies of a landing zone", func(w *world) {
			w.policies = map[string]object{
				"iam.workloadIdentityPoolAwsAccounts": {"denyAll": true},
				"iam.workloadIdentityPoolProviders":   {"values": object{"allowedValues": []any{"is:https://sts.amazonaws.com"}}},
				"run.allowedIngress":                  {"values": object{"allowedValues": []any{"is:internal"}}},
				"run.allowedVPCEgress":                {"denyAll": true, "condition": object{"expression": "resource.matchTag('a/b', 'c')"}},
				"cloudfunctions.requireVPCConnector":  {"enforce": true},
				"cloudbuild.allowedWorkerPools":       {"values": object{"allowedValues": []any{"under:organizations/1"}}},
				"gcp.restrictNonCmekServices":         {"values": object{"deniedValues": []any{"pubsub.googleapis.com"}}},
			}
		}, Broken, "organisation policies", "iam.workloadIdentityPoolAwsAccounts does not allow 123456789012; " +
			"run.allowedIngress does not allow all; cloudfunctions.requireVPCConnector does not allow functions without a VPC; " +
			"cloudbuild.allowedWorkerPools does not allow the default pool; " +
			"gcp.restrictNonCmekServices does not allow pubsub.googleapis.com"},
		{"policy on keys, of which some are set", func(w *world) {
			w.edit(&w.settings, `"grantee"`, `"kms_keys": {"databases": {"EU": "k"}, "secrets": "k", "topics": "k"}, "grantee"`)
			w.policies = map[string]object{"gcp.restrictNonCmekServices": {"values": object{"deniedValues": []any{
				"firestore.googleapis.com", "pubsub.googleapis.com", "run.googleapis.com", "secretmanager.googleapis.com",
			}}}}
		}, Broken, "organisation policies", "gcp.restrictNonCmekServices does not allow run.googleapis.com, secretmanager.googleapis.com"},
		{"policies may not be read", func(w *world) { w.disabled = "orgpolicy" },
			Unchecked, "organisation policies", "enable orgpolicy.googleapis.com, with roles/orgpolicy.policyViewer"},
		{"AWS account", func(w *world) { w.edit(&w.settings, `_id": "123456789012"`, `_id": "210987654321"`) },
			Broken, "AWS account", "Account is 123456789012, want 210987654321"},
		{"Cognito", func(w *world) { w.edit(&w.settings, "id.maker.example", "cognito-idp.eu-west-1.amazonaws.com/p") },
			Well, "audience", "none: access tokens of Cognito have none"},
		{"other project", func(w *world) { w.edit(&w.settings, "maker-prod", "maker-other") }, Broken, "settings",
			"they are for the project maker-other, not for maker-prod"},
		{"provider vouches for all", func(w *world) { w.edit(&w.settings, `"jwt:`, `"userinfo:`) },
			Broken, "refuses a made-up token", "userinfo"},
		{"settings", func(w *world) { w.edit(&w.settings, "europe-west1", "Europe") }, Broken, "settings", "regions.EU.location: must be"},
		{"project", func(w *world) { w.edit(&w.settings, "maker-prod", "maker-test") },
			Broken, "project", "projects/maker-test could not be read: calling cloudresourcemanager: status 403"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			test.spoil(w)
			args := []string{"--before", "--settings=" + w.settings}
			if test.name == "other project" {
				args = append(args, "--project=maker-prod")
			}
			_, findings := w.examine(args...)
			wantOnly(t, findings, test.severity, test.check, test.sentence)
		})
	}
}

// TestFreshProject: before there is a deployment, Secret Manager may be disabled.
func TestFreshProject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.remove("services/secretmanager.googleapis.com")
	w.secrets["gatepost-lwa-credentials"], w.secrets["gatepost-token-keyset-eu"] = "", ""
	status, stdout, _ := w.doctor("--before", "--settings="+settings, "--regions=EU")
	const want = ": secretmanager.googleapis.com is not enabled: enable it to check this\n"
	for _, check := range []string{"client credentials", "keyset (EU)", "LWA client"} {
		if status != cli.StatusDone || !strings.Contains(stdout, "‼ "+check+want) {
			t.Errorf("status %d, want ‼ %s%s:\n%s", status, check, want, stdout)
		}
	}
	if !strings.Contains(stdout, "‼ APIs: secretmanager.googleapis.com is not enabled\n    do:  go on: step 5 of the guide") {
		t.Errorf("the output does not say who enables the APIs:\n%s", stdout)
	}
}

// TestText: the output for people has categories, marks, and what to do.
func TestText(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.set("jobs/gatepost-eu-refresh", "state", "PAUSED")
	w.lines = w.lines[:4] // no sweep
	_, stdout, stderr := w.doctor("--settings="+settings, "--regions=EU")
	for _, want := range []string{
		"\nsweep\n-----\n× job (EU): gatepost-eu-refresh: state is PAUSED, want ENABLED\n    do:  gcloud scheduler jobs resume",
		"\n    see: functions/TROUBLESHOOTING.md#sweeps\n× keeps up (EU): no shard was swept in the last 30 minutes\n" +
			"    do:  after a first deployment wait",
		" √, 1 ‼, 3 ×, 0 not checked\n",
	} {
		if !strings.Contains(stdout, want) || stderr != "" {
			t.Errorf("the output has no %q:\n%s%s", want, stdout, stderr)
		}
	}
}

// TestNothingDeployed: what all others need is checked first, and alone if it fails.
func TestNothingDeployed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.resources = map[string]object{}
	status, stdout, _ := w.doctor("--project=maker-prod")
	want := "× settings: no function gatepost-REGION-acceptgrant is deployed in maker-prod\n"
	if status != cli.StatusFailed || !strings.Contains(stdout, want) || !strings.Contains(stdout, "\n0 √, 0 ‼, 1 ×") {
		t.Errorf("status %d, %s", status, stdout)
	}
}

func TestWrongCalls(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"":                            "give --settings or --project",
		"--before --project=p":        "--before needs --settings",
		"--local --before":            "give --local or --before, not both",
		"--project=p --regions=EU,JP": "--regions",
		"--project=p --settings":      "--settings",
	} {
		status, _, stderr := newWorld(t).doctor(strings.Fields(args)...)
		if want != "" && (status != cli.StatusUsage || !strings.Contains(stderr, want)) {
			t.Errorf("%s: status %d, %q, want %q", args, status, stderr, want)
		}
	}
}
