package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A form is what a text must look like. The patterns and sentences are those
// of the validations in infra/.
type form struct {
	pattern *regexp.Regexp
	rule    string
}

var (
	projectForm = form{regexp.MustCompile(`^[a-z][a-z0-9-]{4,28}[a-z0-9]$`), "must be 6 to 30 lower-case letters, digits and hyphens, starting with a letter"}
	skillIDForm = form{
		regexp.MustCompile(`^amzn1\.ask\.skill\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`),
		"must be amzn1.ask.skill. and a UUID in lower case",
	}
	accountForm  = form{regexp.MustCompile(`^[0-9]{12}$`), "must be the 12 digits of an AWS account"}
	skillForm    = form{regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`), "must be 1 to 128 letters, digits, dots, underscores and hyphens"}
	locationForm = form{regexp.MustCompile(`^[a-z]+-[a-z]+[0-9]+$`), "must be a Google Cloud region such as europe-west1, without a zone"}
	databaseForm = form{regexp.MustCompile(`^[a-z]+(-[a-z]+)?[0-9]+$`), "must be a region such as europe-west1 or a multi-region such as eur3"}
	roleForm     = form{regexp.MustCompile(`^[A-Za-z0-9_+=,.@-]{1,64}$`), "must be the name of a role in AWS, without its ARN"}
	urlForm      = form{regexp.MustCompile(`^https://[^/?#@\s]+(/[^?#\s]*)?$`), "must be an https URL without query: a directive has the customer's token in it"}
	cronForm     = form{regexp.MustCompile(`^\*(/[1-5])?( \*){4}$`), "must be */N * * * * with N from 1 to 5, or * * * * *"}
	memoryForm   = form{regexp.MustCompile(`^[1-9][0-9]*(Mi|Gi)$`), "must be in Mi or Gi, such as 512Mi"}
	cpuForm      = form{regexp.MustCompile(`^[12468]$`), "must be 1, 2, 4, 6 or 8"}
	resolverForm = form{
		regexp.MustCompile(`^(userinfo|introspection|jwt):https://[^/?#@\s]+([/?][^#\s]*)?$`),
		"must be userinfo:URL, introspection:URL or jwt:ISSUER, with an https URL that has no user and no fragment",
	}
	jwksForm    = form{regexp.MustCompile(`^https://[^/?#@\s]+([/?][^#\s]*)?$`), "must be an https URL that has no user and no fragment"}
	ageForm     = form{regexp.MustCompile(`^([0-9]+h)?([0-9]+m)?([0-9]+s)?$`), "must be a duration of hours, minutes and seconds such as 5m"}
	idleForm    = form{regexp.MustCompile(`^[1-9][0-9]*h([0-9]+m)?([0-9]+s)?$`), "must be off or a duration of at least an hour such as 720h"}
	channelForm = form{
		regexp.MustCompile(`^projects/[^/]+/notificationChannels/[^/]+$`),
		"must be names of notification channels, projects/P/notificationChannels/N",
	}
	proxyForm = form{regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,60}$`), "must be 1 to 61 letters, digits, underscores and hyphens"}
	lineForm  = form{regexp.MustCompile(`^[^\x00-\x1f]*$`), "must be one line"}
)

// retentions are the periods that CloudWatch Logs knows:
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
var retentions = []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

// memories are how many MB go with so many processors:
// https://cloud.google.com/run/docs/configuring/services/memory-limits
var memories = map[string]struct{ least, most int }{
	"1": {128, 4096}, "2": {128, 8192}, "4": {2048, 16384}, "6": {4096, 24576}, "8": {4096, 32768},
}

// judge collects faults.
type judge struct{ faults []string }

func (j *judge) that(holds bool, name, rule string, args ...any) {
	if !holds {
		j.faults = append(j.faults, name+": "+fmt.Sprintf(rule, args...))
	}
}

func (j *judge) form(name, value string, f form) {
	j.that(f.pattern.MatchString(value), name, "%s", f.rule)
}

func (j *judge) between(name string, n, least, most int) {
	j.that(n >= least && n <= most, name, "must be from %d to %d", least, most)
}

// faults names every value that breaks a rule.
func (s settings) faults() []string {
	var j judge
	j.form("project_id", s.projectID, projectForm)
	j.form("skill_id", s.skillID, skillIDForm)
	j.form("aws_account_id", s.awsAccountID, accountForm)
	j.form("skill", s.skill, skillForm)
	j.stacks(s)
	j.customers(s.grantee)
	if s.directive != nil {
		j.form("directive.url", s.directive.url, urlForm)
		j.form("directive.audience", s.directive.audience, lineForm)
	}
	j.between("refresh_shards", s.refreshShards, 1, 256)
	if s.refreshIdleAfter != "off" {
		j.form("refresh_idle_after", s.refreshIdleAfter, idleForm)
	}
	j.form("refresh_schedule", s.refreshSchedule, cronForm)
	j.between("lwa_max_rate", s.lwaMaxRate, 0, 100_000)
	j.form("max_event_age", s.maxEventAge, ageForm)
	j.that(strings.ContainsAny(s.maxEventAge, "123456789"), "max_event_age", "must not be nothing")
	j.that(slices.Contains([]string{"strict", "advise", "off"}, s.eventChecks), "event_checks", "must be strict, advise or off")
	j.scaling(s.scaling)
	for _, channel := range s.alertChannels {
		j.form("alert_channels", channel, channelForm)
	}
	j.form("proxy_name", s.proxyName, proxyForm)
	j.that(slices.Contains(retentions, s.logRetentionDays), "log_retention_days",
		"must be a period that CloudWatch Logs knows: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 and some longer ones")
	return j.faults
}

func (j *judge) stacks(s settings) {
	j.that(len(s.stacks) > 0, "regions", "must have one stack at least")
	for _, one := range s.stacks {
		name := "regions." + one.region
		j.that(slices.Contains([]string{"NA", "EU", "FE"}, one.region), name, "must be NA, EU or FE")
		j.form(name+".location", one.location, locationForm)
		j.form(name+".firestore_location", one.firestoreLocation, databaseForm)
		if one.ownLambdaRole != "" {
			j.form(name+".own_lambda_role", one.ownLambdaRole, roleForm)
		}
	}
	j.roles(s)
}

// roles judges whether each stack has a role of its own, since it trusts only
// that. AWS does not tell roles apart by capitals.
func (j *judge) roles(s settings) {
	owners := map[string]string{}
	for _, one := range s.stacks {
		role := strings.ToLower(s.role(one))
		owner, taken := owners[role]
		j.that(!taken, "regions."+one.region, "must have a role of its own, not that of %s", owner)
		owners[role] = one.region
	}
}

func (j *judge) customers(g customers) {
	j.form("grantee.resolver", g.resolver, resolverForm)
	j.that(!strings.HasPrefix(g.resolver, "jwt:") || !strings.Contains(g.resolver, "?"), "grantee.resolver", "must have no query, being an issuer")
	j.form("grantee.claim", g.claim, lineForm)
	j.form("grantee.audience", g.audience, lineForm)
	j.that(g.jwks == "" || strings.HasPrefix(g.resolver, "jwt:"), "grantee.jwks", "must be given with jwt only")
	if g.jwks != "" {
		j.form("grantee.jwks", g.jwks, jwksForm)
	}
	j.that(g.audience == "" || !strings.HasPrefix(g.resolver, "userinfo:"), "grantee.audience", "must not be given with userinfo, since nothing could check it")
}

func (j *judge) scaling(all map[string]scaling) {
	for _, f := range functions {
		name, is := "scaling."+f.entryPoint, all[f.entryPoint]
		j.between(name+".min_instances", is.minInstances, 0, 9999)
		j.between(name+".max_instances", is.maxInstances, 1, 9999)
		j.that(is.minInstances <= is.maxInstances || is.maxInstances < 1, name+".min_instances", "must not be more than max_instances")
		j.form(name+".memory", is.memory, memoryForm)
		j.form(name+".cpu", is.cpu, cpuForm)
		if of, known := memories[is.cpu]; known && memoryForm.pattern.MatchString(is.memory) {
			j.that(megabytes(is.memory) >= of.least && megabytes(is.memory) <= of.most, name+".memory", "must be from %dMi to %dMi with %s cpu", of.least, of.most, is.cpu)
		}
	}
}

// megabytes is how many a memory of the right form has. One with more digits
// than a number takes is more than any function gets.
func megabytes(memory string) int {
	n, err := strconv.Atoi(memory[:len(memory)-2])
	if err != nil || n > 1<<20 {
		n = 1 << 20
	}
	if strings.HasSuffix(memory, "Gi") {
		n *= 1024
	}
	return n
}
