package main

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/config"
	"github.com/gatepostdev/gatepost/shared/federation"
)

// settings are what the environment says.
type settings struct {
	region      alexa.Region
	acceptGrant *target
	skillEvent  *target // nil: events are acknowledged here
	directive   *target // nil: the skill has no handler of directives
	federation  federation.Config
}

// target is something behind the proxy.
type target struct {
	url      string
	audience string // of the ID token that it wants; empty if it wants none
}

// read reads the environment env, of which source is the reader. An error names
// everything that is wrong with it, and no value.
func read(source *config.Source, env config.Env) (settings, error) {
	s := settings{
		region:      readRegion(source),
		acceptGrant: readFunction(source, "ACCEPT_GRANT", "where AcceptGrant directives go"),
		skillEvent:  readFunction(source, "SKILL_EVENT", ""),
		directive:   readFunction(source, "DIRECTIVE", ""),
		federation: federation.Config{
			Provider:       readProvider(source),
			ServiceAccount: readServiceAccount(source),
			AWSRegion:      source.Text("AWS_REGION", ""),
			AWS:            env,
			STSURL:         source.URL("GOOGLE_STS_URL", "https://sts.googleapis.com/v1/token"),
			CredentialsURL: source.BaseURL("GOOGLE_IAM_CREDENTIALS_URL", "https://iamcredentials.googleapis.com"),
		},
	}
	if auth := source.OneOf("DIRECTIVE_AUTH", "none", "google"); auth == "none" && s.directive != nil {
		s.directive.audience = ""
	}
	if err := source.Err(); err != nil {
		return settings{}, fmt.Errorf("configuration:\n  %s", strings.ReplaceAll(err.Error(), "\n", "\n  "))
	}
	return s, nil
}

// readRegion is the Alexa region that the Lambda's place stands for. Lambda
// sets the variable; a guess for any other place would send a customer's grant
// to a gateway that refuses it for ever.
func readRegion(source *config.Source) alexa.Region {
	region, err := alexa.RegionOfAWS(source.Text("AWS_REGION", ""))
	if err != nil {
		source.Fault("AWS_REGION", "must be us-east-1 (NA), eu-west-1 (EU) or us-west-2 (FE): Alexa calls a smart home skill nowhere else")
	}
	return region
}

// readFunction reads the variables of one target: name_URL, and name_AUDIENCE
// for what is reached by another host than its own. why is empty for a target
// that need not be there.
func readFunction(source *config.Source, name, why string) *target {
	variable := name + "_URL"
	if source.Text(variable, "") == "" {
		if why != "" {
			source.Required(variable, why)
		}
		return nil
	}
	at := source.URL(variable, "")
	if at == nil || at.Host == "" {
		return nil // a fault by now
	}
	return &target{url: at.String(), audience: source.Text(name+"_AUDIENCE", audience(at))}
}

// audience is what a function on Google Cloud takes for its name:
// the URL of the Cloud Run service, whatever the path, see
// https://cloud.google.com/run/docs/authenticating/service-to-service, and the
// whole of a URL at cloudfunctions.net, which many functions share, see
// https://cloud.google.com/functions/docs/securing/authenticating.
func audience(at *url.URL) string {
	if strings.HasSuffix(at.Hostname(), ".cloudfunctions.net") {
		return at.String()
	}
	return at.Scheme + "://" + at.Host
}

func readProvider(source *config.Source) string {
	const name = "GOOGLE_WORKLOAD_PROVIDER"
	value := source.Required(name, "the workload identity provider that trusts this Lambda's role")
	parts := strings.Split(value, "/")
	for i, want := range []string{"", "", "iam.googleapis.com", "projects", "*", "locations", "global", "workloadIdentityPools", "*",
		"providers", "*"} {
		if value != "" && (len(parts) != 11 || parts[i] != want && want != "*" || want == "*" && parts[i] == "") {
			source.Fault(name, "must be //iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER")
			break
		}
	}
	return value
}

func readServiceAccount(source *config.Source) string {
	const name = "GOOGLE_SERVICE_ACCOUNT"
	value := source.Required(name, "the service account that may call the functions")
	if user, host, _ := strings.Cut(value, "@"); value != "" && (user == "" || host == "" || strings.ContainsAny(value, "/?# ")) {
		source.Fault(name, "must be an email address")
	}
	return value
}
