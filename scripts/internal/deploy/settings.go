package deploy

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Settings are the variables of infra/, with the same names and defaults. They are
// exported for templates and JSON.
type Settings struct {
	ProjectID    text           `json:"project_id"`
	SkillID      text           `json:"skill_id"`
	AWSAccountID text           `json:"aws_account_id"`
	Skill        text           `json:"skill"`
	Regions      map[text]Stack `json:"regions"`
	Grantee      struct {
		Resolver text `json:"resolver"`
		Claim    text `json:"claim"`
		Audience text `json:"audience"`
		JWKS     text `json:"jwks"`
	} `json:"grantee"`
	Directive *struct {
		URL      text `json:"url"`
		Auth     text `json:"auth"`
		Audience text `json:"audience"`
	} `json:"directive"`

	// Only Terraform has these.
	BackupRetentionWeeks   any `json:"backup_retention_weeks"`
	BuildRights            any `json:"build_rights"`
	GrantEventsSubscribers any `json:"grant_events_subscribers"`
	KMSKeys                any `json:"kms_keys"`
	Labels                 any `json:"labels"`
	PermissionsBoundary    any `json:"permissions_boundary"`
	Publishers             any `json:"publishers"`
	RolePath               any `json:"role_path"`
	Tags                   any `json:"tags"`
	VersionDestroyTTL      any `json:"version_destroy_ttl"`

	DeviceEvents     text `json:"device_events"`
	RefreshShards    text `json:"refresh_shards"`
	RefreshIdleAfter text `json:"refresh_idle_after"`
	RefreshSchedule  text `json:"refresh_schedule"`
	LWAMaxRate       text `json:"lwa_max_rate"`
	MaxEventAge      text `json:"max_event_age"`
	EventChecks      text `json:"event_checks"`
	ExcludeAccepted  text `json:"exclude_accepted"`
	Scaling          struct {
		AcceptGrant, SkillEvent, RefreshTokens, RefreshShard, SendEvent scaling
	} `json:"scaling"`
	ProxyName        text   `json:"proxy_name"`
	LogRetentionDays text   `json:"log_retention_days"`
	SourcePackage    text   `json:"source_package"`
	ProxyPackage     text   `json:"proxy_package"`
	AlertChannels    []text `json:"alert_channels"`

	// Ignored: the program creates nothing that observes.
	AlarmTopicARNs any `json:"alarm_topic_arns"`
	Budget         any `json:"budget"`
	Canary         any `json:"canary"`
	KeysetAlert    any `json:"keyset_alert"`
	SLO            any `json:"slo"`
}

// Stack is the stack of one Alexa region.
type Stack struct {
	Location          text `json:"location"`
	FirestoreLocation text `json:"firestore_location"`
	OwnLambdaRole     text `json:"own_lambda_role"` // of the maker's own Lambda, which replaces the skill proxy

	Region   text      `json:"-"`
	settings *Settings // that the stack is part of
}

// scaling has the limits of one function.
type scaling struct {
	MinInstances text `json:"min_instances"`
	MaxInstances text `json:"max_instances"`
	Memory       text `json:"memory"`
	CPU          text `json:"cpu"`
}

// text is a setting, or is made of settings. Its String method, which templates use,
// quotes it for a shell; string(t) is the bare text.
type text string

// plain matches text without special characters of a shell.
var plain = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// String returns the text as one word of a shell, or as part of one.
func (t text) String() string {
	if plain.MatchString(string(t)) {
		return string(t)
	}
	return "'" + strings.ReplaceAll(string(t), "'", `'\''`) + "'"
}

// UnmarshalJSON accepts a number as well, and keeps the default for null, like Terraform.
func (t *text) UnmarshalJSON(data []byte) error {
	var value any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return err
	}
	switch value := value.(type) {
	case nil:
	case string:
		*t = text(value)
	case json.Number:
		*t = text(value)
	default:
		return fmt.Errorf("%s is not a string or number", data)
	}
	return nil
}

// ReadSettings reads a terraform.tfvars.json.
func ReadSettings(path string) (*Settings, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s, err := parseSettings(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	// A relative path in the file is relative to the file.
	for _, name := range []*text{&s.SourcePackage, &s.ProxyPackage} {
		if *name != "" && !filepath.IsAbs(string(*name)) {
			*name = text(filepath.Join(filepath.Dir(path), string(*name)))
		}
	}
	return s, nil
}

// newSettings returns the defaults.
func newSettings() *Settings {
	s := &Settings{
		Skill: "default", DeviceEvents: "shared", RefreshShards: "16", RefreshIdleAfter: "off", RefreshSchedule: "* * * * *",
		LWAMaxRate: "0", MaxEventAge: "5m", EventChecks: "strict", ExcludeAccepted: "0", ProxyName: "gatepost-skill-proxy",
		LogRetentionDays: "30",
	}
	s.Scaling.AcceptGrant = scaling{"1", "10", "256Mi", "1"}
	s.Scaling.SkillEvent = scaling{"0", "10", "256Mi", "1"}
	s.Scaling.RefreshTokens = scaling{"0", "2", "256Mi", "1"}
	s.Scaling.RefreshShard = scaling{"0", s.shardInstances(), "256Mi", "1"}
	s.Scaling.SendEvent = scaling{"0", "10", "512Mi", "1"}
	return s
}

// shardInstances returns the most instances of RefreshShard, one for eight shards,
// unless scaling names a number.
func (s *Settings) shardInstances() text {
	shards, _ := strconv.Atoi(string(s.RefreshShards)) // what is not a number breaks a rule
	return text(strconv.Itoa((shards + 7) / 8))
}

// Deployed returns the settings of a deployment whose file of settings is not at hand:
// its project, the locations of its stacks by Alexa region, what the environment of
// AcceptGrant tells, and otherwise the defaults.
func Deployed(project string, locations map[string]string, environment map[string]any) *Settings {
	s := newSettings()
	s.ProjectID, s.Regions = text(project), make(map[text]Stack)
	for region, location := range locations {
		s.Regions[text(region)] = Stack{Location: text(location), Region: text(region), settings: s}
	}
	for variable, setting := range map[string]*text{
		"SKILL": &s.Skill, "GRANTEE_RESOLVER": &s.Grantee.Resolver, "GRANTEE_CLAIM": &s.Grantee.Claim,
		"GRANTEE_AUDIENCE": &s.Grantee.Audience, "GRANTEE_JWKS": &s.Grantee.JWKS,
	} {
		if value, ok := environment[variable].(string); ok {
			*setting = text(value)
		}
	}
	return s
}

func parseSettings(data []byte) (*Settings, error) {
	s := newSettings()
	s.Scaling.RefreshShard.MaxInstances = "" // depends on the shards
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(s); err != nil {
		return nil, err
	}
	s.Scaling.RefreshShard.MaxInstances = cmp.Or(s.Scaling.RefreshShard.MaxInstances, s.shardInstances())
	if s.Directive != nil && s.Directive.Auth == "" {
		s.Directive.Auth = "none"
	}
	for region, one := range s.Regions {
		one.Region, one.settings = region, s
		s.Regions[region] = one
	}
	return s, s.check()
}

// onlyTerraform returns an error if one of the settings that only Terraform has is set:
// a deployment without it would look like one with it.
func (s *Settings) onlyTerraform() error {
	for name, value := range map[string]any{
		"backup_retention_weeks": s.BackupRetentionWeeks, "build_rights": s.BuildRights,
		"grant_events_subscribers": s.GrantEventsSubscribers, "kms_keys": s.KMSKeys, "labels": s.Labels,
		"permissions_boundary": s.PermissionsBoundary, "publishers": s.Publishers, "role_path": s.RolePath,
		"tags": s.Tags, "version_destroy_ttl": s.VersionDestroyTTL,
	} {
		if value != nil {
			return fmt.Errorf("%s: scripts/deploy does not have this setting; use Terraform", name)
		}
	}
	return nil
}

// Stacks returns those of the named regions, or all of them, by name.
func (s *Settings) Stacks(regions []string) ([]Stack, error) {
	for _, region := range regions {
		if _, ok := s.Regions[text(region)]; !ok {
			return nil, fmt.Errorf("--region %s: the settings have no such region", region)
		}
	}
	var all []Stack
	for _, region := range slices.Sorted(maps.Keys(s.Regions)) {
		if len(regions) == 0 || slices.Contains(regions, string(region)) {
			all = append(all, s.Regions[region])
		}
	}
	return all, nil
}

// rule is one setting, and the pattern and sentence of its validation in infra/.
type rule struct {
	name          string
	value         text
	pattern, must string
}

func (s *Settings) rules() []rule {
	const (
		httpsURL   = `^https://[^/?#@\s]+(/[^?#\s]*)?$`
		resolver   = `^(userinfo|introspection|jwt):https://[^/?#@\s]+([/?][^#\s]*)?$`
		oneLine    = `^[^\x00-\x1f]*$`
		atMostFour = `^[0-9]{1,4}$`
	)
	all := []rule{
		{"project_id", s.ProjectID, `^[a-z][a-z0-9-]{4,28}[a-z0-9]$`, "6 to 30 lower-case letters, digits and hyphens, starting with a letter"},
		{"skill_id", s.SkillID, `^amzn1\.ask\.skill\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`, "amzn1.ask.skill. and a UUID in lower case"},
		{"aws_account_id", s.AWSAccountID, `^[0-9]{12}$`, "the 12 digits of an AWS account"},
		{"skill", s.Skill, `^[A-Za-z0-9._-]{1,128}$`, "1 to 128 letters, digits, dots, underscores and hyphens"},
		{"grantee.resolver", s.Grantee.Resolver, resolver, "userinfo:URL, introspection:URL or jwt:ISSUER, with an https URL"},
		{"grantee.claim", s.Grantee.Claim, oneLine, "one line"},
		{"grantee.audience", s.Grantee.Audience, oneLine, "one line"},
		{"device_events", s.DeviceEvents, `^(shared|regional)$`, "shared or regional"},
		{"refresh_shards", s.RefreshShards, `^[0-9]{1,3}$`, "a whole number from 1 to 256"},
		{"refresh_idle_after", s.RefreshIdleAfter, `^off$|^[1-9][0-9]*h([0-9]+m)?([0-9]+s)?$`, "off or at least an hour, such as 720h"},
		{"refresh_schedule", s.RefreshSchedule, `^\*(/[1-5])?( \*){4}$`, "*/N * * * * with N from 1 to 5, or * * * * *"},
		{"lwa_max_rate", s.LWAMaxRate, `^[0-9]{1,6}$`, "a whole number from 0 to 100000"},
		{"max_event_age", s.MaxEventAge, `^([0-9]+h)?([0-9]+m)?([0-9]+s)?$`, "a duration of hours, minutes and seconds such as 5m"},
		{"event_checks", s.EventChecks, `^(strict|advise|off)$`, "strict, advise or off"},
		{"exclude_accepted", s.ExcludeAccepted, `^(0|1|0\.[0-9]*[1-9])$`, "0, 1 or a share between them such as 0.9"},
		{"proxy_name", s.ProxyName, `^[A-Za-z0-9][A-Za-z0-9_-]{0,60}$`, "1 to 61 letters, digits, underscores and hyphens"},
		{"log_retention_days", s.LogRetentionDays, atMostFour, "a number of days that CloudWatch Logs offers"},
	}
	for name, size := range map[string]scaling{
		"AcceptGrant": s.Scaling.AcceptGrant, "SkillEvent": s.Scaling.SkillEvent, "RefreshTokens": s.Scaling.RefreshTokens,
		"RefreshShard": s.Scaling.RefreshShard, "SendEvent": s.Scaling.SendEvent,
	} {
		all = append(all,
			rule{"scaling." + name + ".min_instances", size.MinInstances, atMostFour, "a whole number up to 9999"},
			rule{"scaling." + name + ".max_instances", size.MaxInstances, atMostFour, "a whole number up to 9999"},
			rule{"scaling." + name + ".memory", size.Memory, `^[1-9][0-9]*(Mi|Gi)$`, "in Mi or Gi, such as 512Mi"},
			rule{"scaling." + name + ".cpu", size.CPU, `^[12468]$`, "1, 2, 4, 6 or 8"})
	}
	if s.Grantee.JWKS != "" {
		all = append(all, rule{"grantee.jwks", s.Grantee.JWKS, `^https://[^/?#@\s]+([/?][^#\s]*)?$`, "an https URL without user and fragment"})
	}
	if d := s.Directive; d != nil {
		all = append(all,
			rule{"directive.url", d.URL, httpsURL, "an https URL without a query: a directive has the customer's token in it"},
			rule{"directive.auth", d.Auth, `^(none|google)$`, "none or google"},
			rule{"directive.audience", d.Audience, oneLine, "one line"})
	}
	for region, one := range s.Regions {
		name := "regions." + string(region)
		all = append(all,
			rule{name, region, `^(NA|EU|FE)$`, "NA, EU or FE"},
			rule{name + ".location", one.Location, `^[a-z]+-[a-z]+[0-9]+$`, "a Google Cloud region such as europe-west1"},
			rule{name + ".firestore_location", one.FirestoreLocation, `^[a-z]+(-[a-z]+)?[0-9]+$`, "a region such as europe-west1, or eur3 or nam5"},
			rule{name + ".own_lambda_role", one.role(), `^[A-Za-z0-9_+=,.@-]{1,64}$`, "the name of a role in AWS, without its ARN"})
	}
	return all
}

// check returns an error that names every setting that breaks its rule.
func (s *Settings) check() error {
	var faults []string
	for _, r := range s.rules() {
		if !regexp.MustCompile(r.pattern).MatchString(string(r.value)) {
			faults = append(faults, r.name+": must be "+r.must)
		}
	}
	if len(s.Regions) == 0 {
		faults = append(faults, "regions: must have at least one")
	}
	// Google trusts a stack's role, and nothing else would notice two stacks with the
	// same role. AWS ignores the case of its name.
	owners := map[string]text{}
	for _, region := range slices.Sorted(maps.Keys(s.Regions)) {
		role := strings.ToLower(string(s.Regions[region].role()))
		if owner := owners[role]; owner != "" {
			faults = append(faults, fmt.Sprintf("regions.%s: must have a role of its own, not that of %s", region, owner))
		}
		owners[role] = region
	}
	if len(faults) == 0 {
		return nil
	}
	slices.Sort(faults)
	return fmt.Errorf("\n  %s", strings.Join(faults, "\n  "))
}
