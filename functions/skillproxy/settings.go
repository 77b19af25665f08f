package main

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/config"
	"github.com/gatepostdev/gatepost/shared/federation"
)

// settings are the configuration of the proxy.
type settings struct {
	region      alexa.Region
	acceptGrant *target
	skillEvent  *target // nil: events are acknowledged here
	directive   *target // nil: the skill has no handler of directives
	federation  federation.Config
}

// target is a function or handler that the proxy forwards to.
type target struct {
	url      string
	audience string // of the ID token; empty to send none
}

// read reads the environment env through source. An error names every fault, and no
// value.
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

// readRegion returns the Alexa region of the Lambda's AWS region. Lambda sets the
// variable. readRegion does not guess for other AWS regions: with a wrong region, events
// go to a gateway that always refuses the grant.
func readRegion(source *config.Source) alexa.Region {
	region, err := alexa.RegionOfAWS(source.Text("AWS_REGION", ""))
	if err != nil {
		source.Fault("AWS_REGION", "must be us-east-1 (NA), eu-west-1 (EU) or us-west-2 (FE): Alexa calls a smart home skill nowhere else")
	}
	return region
}

// readFunction reads the variables of one target: name_URL, and name_AUDIENCE for a
// target that is reached by another host than its own. why is empty if the target is
// optional.
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
		return nil // source has the fault
	}
	return &target{url: at.String(), audience: source.Text(name+"_AUDIENCE", audience(at))}
}

// audience returns the audience that a function on Google Cloud expects: the URL of
// the Cloud Run service without the path: see
// https://cloud.google.com/run/docs/authenticating/service-to-service, and the whole
// URL at cloudfunctions.net, a host that many functions share: see
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
