package main

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// newDeployment is one of the stack of EU, of a project in which nothing is.
func newDeployment(t *testing.T, changes object) *deployment {
	t.Helper()
	s := with(t, changes)
	stacks, err := s.only([]string{"EU"})
	if err != nil {
		t.Fatal(err)
	}
	names := known{
		projectNumber: number, sourceHash: "5eed", "EU_SENDEVENT_URL": "https://send", "EU_REFRESHSHARD_URL": "https://shard",
		"EU_REFRESHTOKENS_URL": "https://tokens", "EU_ACCEPTGRANT_URL": "https://accept", "EU_SKILLEVENT_URL": "https://skill",
	}
	return &deployment{settings: s, stacks: stacks, have: newInventory(), known: names, runner: &runner{out: io.Discard, known: names}}
}

// pushed is the subscription for device events as it should be.
func pushed() listedSubscription {
	var s listedSubscription
	s.Name, s.Topic = "projects/maker-prod/subscriptions/gatepost-eu-device-events", "projects/maker-prod/topics/device-events"
	s.Filter, s.EnableMessageOrdering, s.AckDeadlineSeconds, s.MessageRetentionDuration = filter("EU"), true, 60, "604800s"
	s.RetryPolicy.MinimumBackoff, s.RetryPolicy.MaximumBackoff = "5s", "60s"
	s.DeadLetterPolicy.DeadLetterTopic, s.DeadLetterPolicy.MaxDeliveryAttempts = "projects/maker-prod/topics/dead-letters", 100
	s.PushConfig.PushEndpoint = "https://send"
	s.PushConfig.OidcToken = oidcToken{"gatepost-eu-push-sendevent@maker-prod.iam.gserviceaccount.com", "https://send"}
	return s
}

// TestSubscription changes one thing at a time of a subscription, and wants
// either the flags that put it right or a refusal.
func TestSubscription(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*listedSubscription)
		want   []string // flags of the update
		refuse string
	}{
		{name: "as it should be", change: func(*listedSubscription) {}},
		{
			name: "push endpoint", change: func(s *listedSubscription) { s.PushConfig.PushEndpoint = "https://old" },
			want: []string{"--push-endpoint=https://send", "--push-auth-service-account=gatepost-eu-push-sendevent@maker-prod.iam.gserviceaccount.com", "--push-auth-token-audience=https://send"},
		},
		{
			name: "push account", change: func(s *listedSubscription) { s.PushConfig.OidcToken.ServiceAccountEmail = "x" },
			want: []string{"--push-endpoint=https://send", "--push-auth-service-account=gatepost-eu-push-sendevent@maker-prod.iam.gserviceaccount.com", "--push-auth-token-audience=https://send"},
		},
		{name: "back-off", change: func(s *listedSubscription) { s.RetryPolicy.MaximumBackoff = "600s" }, want: []string{"--min-retry-delay=5s", "--max-retry-delay=60s"}},
		{name: "attempts", change: func(s *listedSubscription) { s.DeadLetterPolicy.MaxDeliveryAttempts = 5 }, want: []string{"--dead-letter-topic=dead-letters", "--max-delivery-attempts=100"}},
		{name: "ack deadline", change: func(s *listedSubscription) { s.AckDeadlineSeconds = 10 }, want: []string{"--ack-deadline=60"}},
		{name: "retention", change: func(s *listedSubscription) { s.MessageRetentionDuration = "600s" }, want: []string{"--message-retention-duration=604800s"}},
		{name: "expiration", change: func(s *listedSubscription) { s.ExpirationPolicy.TTL = "2678400s" }, want: []string{"--expiration-period=never"}},
		{name: "filter", change: func(s *listedSubscription) { s.Filter = "" }, refuse: "the filter is"},
		{name: "ordering", change: func(s *listedSubscription) { s.EnableMessageOrdering = false }, refuse: "the ordering is"},
		{name: "topic", change: func(s *listedSubscription) { s.Topic = "_deleted-topic_" }, refuse: "the topic is"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d, have := newDeployment(t, nil), pushed()
			test.change(&have)
			d.have.subscriptions["gatepost-eu-device-events"] = have
			all := d.subscriptionResources()
			r := all[slices.IndexFunc(all, func(r resource) bool { return strings.HasSuffix(r.name, "-device-events") })]
			if test.refuse != "" {
				if got := r.refusals(); len(got) != 1 || !strings.Contains(got[0], test.refuse) {
					t.Errorf("refusals %q, want %q", got, test.refuse)
				}
				return
			}
			got := []string(nil)
			for _, c := range r.commands(d.settings) {
				got = append(got, d.known.resolveAll(c.args[5:len(c.args)-2])...)
			}
			if diff := cmp.Diff(test.want, got); diff != "" || len(r.refusals()) != 0 {
				t.Errorf("flags differ (-want +got):\n%s%q", diff, r.refusals())
			}
		})
	}
}

// TestRefusals has one thing each that no command could put right.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*deployment)
		want   string
	}{
		{"nothing", func(*deployment) {}, ""},
		{"AWS account", func(d *deployment) { d.awsAccount = "210987654321" }, "credentials are of account 210987654321"},
		{"database elsewhere", func(d *deployment) {
			d.have.databases["gatepost-eu"] = listedDatabase{LocationID: "nam5", Type: "FIRESTORE_NATIVE", DatabaseEdition: "STANDARD"}
		}, `database gatepost-eu: the location is "nam5" and should be "eur3"`},
		{"function that is being built", func(d *deployment) {
			d.have.functions["europe-west1/gatepost-eu-sendevent"] = deployed{State: "DEPLOYING"}
		}, "function gatepost-eu-sendevent is still being built: wait, then run again"},
		{"function that is being built elsewhere", func(d *deployment) {
			d.have.functions["europe-west4/gatepost-eu-sendevent"] = deployed{State: "DEPLOYING"}
		}, ""},
		{"index that could not be built", func(d *deployment) {
			d.have.indexes["gatepost-eu"] = indexes{composite: map[string]string{sweepIndex: needsRepair}}
		}, "database gatepost-eu: the index of customers by bucket and refreshDue could not be built"},
		{"dead letters that have dead letters", func(d *deployment) {
			have := pushed()
			have.Topic, have.Filter, have.EnableMessageOrdering, have.PushConfig.PushEndpoint = "projects/maker-prod/topics/dead-letters", "", false, ""
			d.have.subscriptions["dead-letters"] = have
		}, "subscription dead-letters: the dead-letter topic is"},
		{"another skill", func(d *deployment) {
			d.have.lambdas["EU"] = listedLambda{statements: map[string]string{"alexa-directives": "alexa-connectedhome.amazon.com amzn1.ask.skill.other"}}
		}, "the permission alexa-directives is for"},
		{"deleted pool", func(d *deployment) { d.have.pool = listedPool{Name: "x/gatepost", State: deleted} }, "pool gatepost is deleted"},
		{"deleted provider", func(d *deployment) {
			d.have.pool = listedPool{Name: "x/gatepost", State: "ACTIVE"}
			d.have.provider = listedProvider{Name: "x/aws-lambda", State: deleted}
		}, "provider aws-lambda is deleted"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t, nil)
			test.change(d)
			err := d.refuse()
			if test.want == "" {
				if err != nil {
					t.Errorf("error %v", err)
				}
				return
			}
			if err == nil || strings.Count(err.Error(), "\n") != 1 || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want the one refusal %q", err, test.want)
			}
		})
	}
}

// TestUpdates has one thing each that a command puts right.
func TestUpdates(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*deployment)
		run    func(*deployment) []command
		want   string // the command line begins so, or has it
	}{
		{"retention of a topic", func(d *deployment) { d.have.topics["grant-events"] = listedTopic{} }, func(d *deployment) []command {
			return commands(d.settings, d.topics()[:1])
		}, "pubsub topics update grant-events --message-retention-duration=604800s"},
		{"protection of a database", func(d *deployment) {
			d.have.databases["gatepost-eu"] = listedDatabase{LocationID: "eur3", Type: "FIRESTORE_NATIVE", DatabaseEdition: "STANDARD", PointInTimeRecoveryEnablement: "POINT_IN_TIME_RECOVERY_ENABLED"}
		}, func(d *deployment) []command { return commands(d.settings, d.databases()) }, "firestore databases update --database=gatepost-eu --delete-protection --project"},
		{"schedule", func(d *deployment) {
			job := listedJob{TimeZone: "Etc/UTC", AttemptDeadline: "60s", Schedule: "0 * * * *"}
			job.RetryConfig.RetryCount, job.RetryConfig.MinBackoffDuration, job.RetryConfig.MaxBackoffDuration = 3, "5s", "30s"
			job.HTTPTarget.URI, job.HTTPTarget.HTTPMethod = "https://tokens", "POST"
			job.HTTPTarget.OidcToken = oidcToken{"gatepost-eu-scheduler@maker-prod.iam.gserviceaccount.com", "https://tokens"}
			d.have.jobs["europe-west1/gatepost-eu-refresh"] = job
		}, func(d *deployment) []command { return commands(d.settings, d.jobs()) }, "scheduler jobs update http gatepost-eu-refresh --location=europe-west1 '--schedule=*/5 * * * *' --project"},
		{"another role is trusted", func(d *deployment) {
			d.have.pool = listedPool{Name: "x/gatepost", State: "ACTIVE"}
			d.have.provider = listedProvider{Name: "x/aws-lambda", State: "ACTIVE", AttributeCondition: "true"}
			d.have.provider.AttributeMapping = map[string]string{"google.subject": strings.TrimPrefix(subjectMapping, "google.subject=")}
			d.have.provider.AWS.AccountID = "123456789012"
		}, func(d *deployment) []command { return commands(d.settings, d.federation()) }, "providers update-aws aws-lambda --workload-identity-pool=gatepost --location=global '--attribute-condition="},
		{"one API is off", func(d *deployment) {
			for _, api := range apis[1:] {
				d.have.apis[api] = true
			}
		}, (*deployment).switchOn, "gcloud services enable artifactregistry.googleapis.com --project"},
		{"log kept too long", func(d *deployment) {
			d.have.lambdas["EU"] = listedLambda{role: true, assume: assumePolicy, log: true, logPolicy: d.settings.logPolicy(d.stacks[0])}
		}, (*deployment).roles, "aws logs put-retention-policy --log-group-name=/aws/lambda/gatepost-skill-proxy-eu --retention-in-days=30"},
		{"role for anybody", func(d *deployment) {
			d.have.lambdas["EU"] = listedLambda{role: true, assume: `{}`, log: true, retention: 30, logPolicy: d.settings.logPolicy(d.stacks[0])}
		}, (*deployment).roles, "aws iam update-assume-role-policy --role-name=gatepost-skill-proxy-eu"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t, nil)
			test.change(d)
			if got := test.run(d); len(got) != 1 || !strings.Contains(got[0].String(), test.want) {
				t.Errorf("commands %v, want the one %q", got, test.want)
			}
		})
	}
}

// TestLambdaUpdates: the code and the settings of a skill proxy are changed by
// commands of their own, each awaited.
func TestLambdaUpdates(t *testing.T) {
	t.Parallel()
	good := func(d *deployment) listedLambda {
		one := d.stacks[0]
		have := listedLambda{
			Description: proxyDescription(one), Role: d.settings.roleARN(one), Runtime: "provided.al2023", Handler: "bootstrap", MemorySize: 128, Timeout: 8,
			Architectures: []string{"arm64"}, CodeSha256: "hash",
			statements: map[string]string{"alexa-directives": "x", "alexa-skill-events": "x"},
		}
		have.LoggingConfig.LogFormat, have.LoggingConfig.LogGroup = "Text", "/aws/lambda/gatepost-skill-proxy-eu"
		have.Environment.Variables = map[string]string{}
		for name, value := range d.settings.proxyEnvironment(one) {
			have.Environment.Variables[name] = d.known.resolve(value)
		}
		return have
	}
	for _, test := range []struct {
		name   string
		change func(*listedLambda)
		want   []string
	}{
		{"nothing", func(*listedLambda) {}, nil},
		{"code", func(l *listedLambda) { l.CodeSha256 = "old" }, []string{"update-function-code", "wait function-updated-v2"}},
		{"memory", func(l *listedLambda) { l.MemorySize = 256 }, []string{"update-function-configuration", "wait function-updated-v2"}},
		{"environment", func(l *listedLambda) { l.Environment.Variables["ACCEPT_GRANT_URL"] = "https://old" }, []string{"update-function-configuration", "wait function-updated-v2"}},
		{
			"both", func(l *listedLambda) { l.Timeout, l.CodeSha256 = 3, "old" },
			[]string{"update-function-configuration", "wait function-updated-v2", "update-function-code", "wait function-updated-v2"},
		},
		{"being made", func(l *listedLambda) { l.State = "Pending" }, []string{"wait function-active-v2"}},
		{
			"being changed", func(l *listedLambda) { l.LastUpdateStatus, l.MemorySize = "InProgress", 256 },
			[]string{"wait function-updated-v2", "update-function-configuration", "wait function-updated-v2"},
		},
		{
			"failed change", func(l *listedLambda) { l.LastUpdateStatus = "Failed" },
			[]string{"update-function-configuration", "wait function-updated-v2", "update-function-code", "wait function-updated-v2"},
		},
		{"permission", func(l *listedLambda) { delete(l.statements, "alexa-skill-events") }, []string{"add-permission"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t, nil)
			d.proxyHash = "hash"
			have := good(d)
			test.change(&have)
			d.have.lambdas["EU"] = have
			var got []string
			for _, c := range d.lambdas() {
				words := slices.DeleteFunc(slices.Clone(c.args[2:]), func(word string) bool { return strings.HasPrefix(word, "--") })
				got = append(got, strings.Join(words, " "))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("commands differ (-want +got):\n%s", diff)
			}
		})
	}
}

// TestReport: each end of a run has its status, and says what to do.
func TestReport(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		err    error
		status int
		want   string
	}{
		{"done", nil, exitOK, "It does not make alert policies"},
		{"secrets", errNoSecrets, exitSecrets, "run this again"},
		{"failure", &commandError{"gcloud x", "ERROR: denied", errors.New("exit status 1")}, exitFailed, "gcloud x\nERROR: denied\nexit status 1\nRunning this again goes on"},
		{"interrupted", errInterrupted, exitFailed, "interrupted\nRunning this again goes on"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			if status := newDeployment(t, nil).report(test.err, &out, &out); status != test.status || !strings.Contains(out.String(), test.want) {
				t.Errorf("status %d, want %d and %q\n%s", status, test.status, test.want, &out)
			}
		})
	}
}
