package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// settings are the variables of infra/, by the same names and with the same
// defaults. The ones that only Terraform uses are judged too: a file that
// passes here is one that Terraform takes.
type settings struct {
	projectID    string
	skillID      string
	awsAccountID string
	skill        string
	stacks       []stack // by Alexa region, in alphabetical order
	grantee      customers
	directive    *directive

	refreshShards    int
	refreshIdleAfter string
	refreshSchedule  string
	lwaMaxRate       int // 0 for any number
	maxEventAge      string
	eventChecks      string

	scaling       map[string]scaling // by entry point
	regionalTopic bool               // a device-events topic for each stack

	alertChannels    []string
	sourcePackage    string // "" to build it
	proxyPackage     string
	proxyName        string
	logRetentionDays int
}

// stack is one Alexa region's part of the deployment.
type stack struct {
	region            string // NA, EU or FE
	location          string
	firestoreLocation string
	ownLambdaRole     string // of the maker's own Lambda; "" to make a skill proxy
}

// customers says how customers are recognized.
type customers struct{ resolver, claim, audience, jwks string }

// directive is the maker's own handler of directives.
type directive struct{ url, auth, audience string }

// scaling is how far one function may grow.
type scaling struct {
	minInstances, maxInstances int
	memory, cpu                string
}

// defaultScaling is by entry point, as in infra/.
var defaultScaling = map[string]scaling{
	"AcceptGrant":   {1, 10, "256Mi", "1"},
	"SkillEvent":    {0, 10, "256Mi", "1"},
	"RefreshTokens": {0, 2, "256Mi", "1"},
	"RefreshShard":  {0, 10, "256Mi", "1"},
	"SendEvent":     {0, 10, "512Mi", "1"},
}

// readSettings reads a terraform.tfvars.json. Its error names every fault.
func readSettings(path string) (settings, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return settings{}, err
	}
	s, err := parseSettings(data)
	if err != nil {
		return settings{}, fmt.Errorf("%s:\n%w", path, err)
	}
	// As Terraform would read them beside the file.
	for _, name := range []*string{&s.sourcePackage, &s.proxyPackage} {
		if *name != "" && !filepath.IsAbs(*name) {
			*name = filepath.Join(filepath.Dir(path), *name)
		}
	}
	return s, nil
}

// parseSettings reads the settings and refuses what Terraform would refuse.
func parseSettings(data []byte) (settings, error) {
	values := map[string]any{}
	if err := json.Unmarshal(data, &values); err != nil {
		return settings{}, fmt.Errorf("not a JSON object: %w", err)
	}
	var faults []string
	r := newReader("", values, &faults)
	s := readAll(r)
	r.refuseOthers()
	// What could not be read has been named, and is judged no further.
	if len(faults) == 0 {
		faults = s.faults()
	}
	if len(faults) > 0 {
		return settings{}, errors.New("  " + strings.Join(faults, "\n  "))
	}
	return s, nil
}

// readAll asks for every setting there is.
func readAll(r *reader) settings {
	return settings{
		projectID:        r.text("project_id", required),
		skillID:          r.text("skill_id", required),
		awsAccountID:     r.text("aws_account_id", required),
		skill:            r.text("skill", "default"),
		stacks:           readStacks(r.object("regions")),
		grantee:          readGrantee(r.object("grantee")),
		directive:        readDirective(r),
		refreshShards:    r.number("refresh_shards", 16),
		refreshIdleAfter: r.text("refresh_idle_after", "off"),
		refreshSchedule:  r.text("refresh_schedule", "*/5 * * * *"),
		lwaMaxRate:       r.number("lwa_max_rate", 0),
		maxEventAge:      r.text("max_event_age", "5m"),
		eventChecks:      r.text("event_checks", "strict"),
		scaling:          readScaling(r),
		regionalTopic:    r.oneOf("device_events", "shared", "regional") == "regional",
		alertChannels:    r.list("alert_channels"),
		sourcePackage:    r.text("source_package", ""),
		proxyPackage:     r.text("proxy_package", ""),
		proxyName:        r.text("proxy_name", "gatepost-skill-proxy"),
		logRetentionDays: r.number("log_retention_days", 30),
	}
}

func readStacks(r *reader) []stack {
	var stacks []stack
	for _, region := range slices.Sorted(maps.Keys(r.values)) {
		of := r.object(region)
		s := stack{region: region, location: of.text("location", required)}
		s.firestoreLocation = of.text("firestore_location", required)
		s.ownLambdaRole = of.text("own_lambda_role", "")
		of.refuseOthers()
		stacks = append(stacks, s)
	}
	return stacks
}

func readGrantee(r *reader) customers {
	defer r.refuseOthers()
	return customers{r.text("resolver", required), r.text("claim", ""), r.text("audience", ""), r.text("jwks", "")}
}

func readDirective(r *reader) *directive {
	if r.missing("directive") {
		return nil
	}
	of := r.object("directive")
	defer of.refuseOthers()
	return &directive{of.text("url", required), of.oneOf("auth", "none", "google"), of.text("audience", "")}
}

func readScaling(r *reader) map[string]scaling {
	all := maps.Clone(defaultScaling)
	if r.missing("scaling") {
		return all
	}
	of := r.object("scaling")
	for entryPoint, is := range defaultScaling {
		if of.missing(entryPoint) {
			continue
		}
		one := of.object(entryPoint)
		is.minInstances = one.number("min_instances", is.minInstances)
		is.maxInstances = one.number("max_instances", is.maxInstances)
		is.memory = one.text("memory", is.memory)
		is.cpu = one.text("cpu", is.cpu)
		one.refuseOthers()
		all[entryPoint] = is
	}
	of.refuseOthers()
	return all
}

// only leaves the stacks of the regions, all of them if none is named.
func (s settings) only(regions []string) ([]stack, error) {
	if len(regions) == 0 {
		return s.stacks, nil
	}
	var chosen []stack
	for _, region := range regions {
		i := slices.IndexFunc(s.stacks, func(one stack) bool { return one.region == region })
		if i < 0 {
			return nil, fmt.Errorf("--region %s: the settings have no such stack", region)
		}
		if !slices.Contains(chosen, s.stacks[i]) {
			chosen = append(chosen, s.stacks[i])
		}
	}
	return chosen, nil
}
