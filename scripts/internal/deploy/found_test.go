package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMovedStack: what is left in the old location is named at the end, with what
// removes it, and the keyset is read from where it is.
func TestMovedStack(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, object{"regions": object{"EU": object{"location": "europe-west4", "firestore_location": "eur3"}}})
	d.have.secrets["gatepost-token-keyset-eu"] = true
	d.have.functions["europe-west1/gatepost-eu-sendevent"] = deployed{State: "ACTIVE"}
	d.have.functions["europe-west4/gatepost-eu-sendevent"] = deployed{State: "ACTIVE"}
	d.have.functions["us-east4/gatepost-na-sendevent"] = deployed{State: "ACTIVE"}
	d.have.functions["us-east4/of-somebody-else"] = deployed{State: "ACTIVE"}
	if got := d.askFormerJobs(); len(got) != 1 || !slices.Contains(got[0].args, "--location=europe-west1") {
		t.Errorf("questions %v, want one about europe-west1", got)
	}
	d.have.jobs["europe-west1/gatepost-eu-refresh"] = listedJob{}
	if err := d.refuse(); err != nil {
		t.Errorf("error %v", err)
	}
	var out bytes.Buffer
	d.report(nil, &out, &out)
	for _, want := range []string{
		"gcloud scheduler jobs delete gatepost-eu-refresh --location=europe-west1 --project=maker-prod\n",
		"gcloud functions delete gatepost-eu-sendevent --gen2 --region=europe-west1 --project=maker-prod\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the end does not say: %s\n%s", want, &out)
		}
	}
	if strings.Count(out.String(), " delete gatepost-") != 2 {
		t.Errorf("the end names more than what is left behind:\n%s", &out)
	}
}

// TestFirstBuildFailed: a function without a service is deployed again, and no
// policy is asked for.
func TestFirstBuildFailed(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, nil)
	var f deployed
	f.State = "FAILED"
	d.have.functions["europe-west1/gatepost-eu-sendevent"] = f
	if err := d.refuse(); err != nil {
		t.Errorf("error %v", err)
	}
	asks := func() bool {
		return slices.ContainsFunc(d.askDetails(), func(q question) bool {
			return strings.Contains(q.String(), "run services get-iam-policy gatepost-eu-sendevent")
		})
	}
	if asks() {
		t.Error("it asks for the policy of a service that is not there")
	}
	if due := d.functionCommands(); len(due) != len(functions) {
		t.Errorf("commands %v, want one for each function", due)
	}
	f.ServiceConfig.URI = "https://send"
	d.have.functions["europe-west1/gatepost-eu-sendevent"] = f
	if !asks() {
		t.Error("it does not ask for the policy of a service that is there")
	}
}

// TestStatements: statements of others, of whatever form, hide none of ours.
func TestStatements(t *testing.T) {
	t.Parallel()
	const ours = `{"Sid":"alexa-directives","Effect":"Allow","Action":"lambda:InvokeFunction","Principal":{"Service":"alexa-connectedhome.amazon.com"},` +
		`"Condition":{"StringEquals":{"lambda:EventSourceToken":"amzn1.ask.skill.x"}}}`
	const wide = `{"Sid":"alexa-skill-events","Effect":"Allow","Action":"lambda:InvokeFunction","Principal":"*"}`
	want := map[string]string{"alexa-directives": "alexa-connectedhome.amazon.com amzn1.ask.skill.x", "alexa-skill-events": wide}
	got := statements(`{"Statement":[{"Sid":"a","Principal":"*","Condition":{"StringEquals":{"x":["y","z"]}}},{"Sid":7},` + ours + `,` + wide + `]}`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("statements differ (-want +got):\n%s", diff)
	}
}

// TestIndexes has one thing each that is not as it should be.
func TestIndexes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, composite, field string
		want                   []string // what is created or updated
	}{
		{"right", sweepFields, rightField, nil},
		{"other direction", strings.ReplaceAll(sweepFields, "ASCENDING", "DESCENDING"), rightField, []string{"composite"}},
		{"other order", `"queryScope":"COLLECTION","fields":[{"fieldPath":"refreshDue","order":"ASCENDING"},{"fieldPath":"bucket","order":"ASCENDING"}]`, rightField, []string{"composite"}},
		{"other scope", strings.ReplaceAll(sweepFields, "COLLECTION", "COLLECTION_GROUP"), rightField, []string{"composite"}},
		{"array", sweepFields, `[{"queryScope":"COLLECTION","fields":[{"fieldPath":"customer","arrayConfig":"CONTAINS"}]}]`, []string{"fields"}},
		{"group of collections", sweepFields, strings.ReplaceAll(rightField, "COLLECTION", "COLLECTION_GROUP"), []string{"fields"}},
		{"one more", sweepFields, strings.Replace(rightField, "[{", `[{"queryScope":"COLLECTION","fields":[{"fieldPath":"customer","order":"DESCENDING"}]},{`, 1), []string{"fields"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t, nil)
			questions := d.askIndexes("gatepost-eu")
			const group = `"name":"projects/p/databases/d/collectionGroups/`
			for i, reply := range []string{
				`[{` + group + `customers/indexes/i","state":"READY",` + test.composite + `}]`,
				`[{` + group + `accounts/fields/customer","indexConfig":{"indexes":` + test.field + `}},` + otherFields(group) + `]`,
				`[{` + group + `deliveries/fields/expireAt","ttlConfig":{"state":"ACTIVE"}},{` + group + `accounts/fields/expireAt","ttlConfig":{"state":"ACTIVE"}}]`,
			} {
				if err := questions[i].answer([]byte(reply)); err != nil {
					t.Fatal(err)
				}
			}
			var got []string
			for _, c := range d.indexes() {
				got = append(got, c.args[3])
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("commands differ (-want +got):\n%s", diff)
			}
		})
	}
}

const (
	sweepFields = `"queryScope":"COLLECTION","fields":[{"fieldPath":"bucket","order":"ASCENDING"},{"fieldPath":"refreshDue","order":"ASCENDING"},{"fieldPath":"__name__","order":"ASCENDING"}]`
	rightField  = `[{"queryScope":"COLLECTION","fields":[{"fieldPath":"customer","order":"ASCENDING"}]}]`
)

// otherFields are those that are not indexed at all.
func otherFields(group string) string {
	var all []string
	for _, name := range []string{"customers/fields/*", "deliveries/fields/*", "accounts/fields/*", "deliveries/fields/expireAt", "accounts/fields/expireAt"} {
		all = append(all, `{`+group+name+`","indexConfig":{}}`)
	}
	return strings.Join(all, ",")
}
