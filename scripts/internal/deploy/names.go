package main

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// What resources are called. infra/ calls them the same.
const (
	deviceEvents       = "device-events"
	grantEvents        = "grant-events"
	deadLetters        = "dead-letters"
	refreshDeadLetters = "refresh-dead-letters"
	lwaSecret          = "gatepost-lwa-credentials"
	granteeSecret      = "gatepost-grantee-credentials"
	pool               = "gatepost"
	provider           = "aws-lambda"
	buildAccount       = "gatepost-build"

	projectNumber = "PROJECT_NUMBER" // references
	sourceHash    = "SOURCE_HASH"
)

// awsRegions is where Alexa calls a smart home skill, by Alexa region:
// https://developer.amazon.com/en-US/docs/alexa/smarthome/develop-smart-home-skills-in-multiple-languages.html
var awsRegions = map[string]string{"NA": "us-east-1", "EU": "eu-west-1", "FE": "us-west-2"}

func (one stack) lower() string { return strings.ToLower(one.region) }

// named is the name of something of the stack: gatepost-eu-refresh.
func (one stack) named(name string) string { return "gatepost-" + one.lower() + "-" + name }

func (one stack) database() string     { return "gatepost-" + one.lower() }
func (one stack) keyset() string       { return "gatepost-token-keyset-" + one.lower() }
func (one stack) refreshTopic() string { return one.named("refresh") }
func (one stack) awsRegion() string    { return awsRegions[one.region] }

// function is the name of the function with this entry point.
func (one stack) function(entryPoint string) string { return one.named(strings.ToLower(entryPoint)) }

// urlName is the name of the reference to where the function is.
func (one stack) urlName(entryPoint string) string {
	return one.region + "_" + strings.ToUpper(entryPoint) + "_URL"
}

// url refers to where the function is.
func (one stack) url(entryPoint string) string {
	return ref(one.urlName(entryPoint))
}

// deviceEventsTopic is the topic that makers publish to for the stack.
func (s settings) deviceEventsTopic(one stack) string {
	if s.regionalTopic {
		return deviceEvents + "-" + one.lower()
	}
	return deviceEvents
}

// email is the address of a service account of the project.
func (s settings) email(account string) string {
	return account + "@" + s.projectID + ".iam.gserviceaccount.com"
}

func (s settings) member(account string) string { return "serviceAccount:" + s.email(account) }

// pubsubAgent is Google's own account that moves messages for the project.
func pubsubAgent() string {
	return "serviceAccount:service-" + ref(projectNumber) + "@gcp-sa-pubsub.iam.gserviceaccount.com"
}

func (s settings) secretRef(secret string) string {
	return "projects/" + s.projectID + "/secrets/" + secret
}

// needsCredentials reports whether customers are recognized by introspection,
// which asks for client credentials.
func (s settings) needsCredentials() bool {
	return strings.HasPrefix(s.grantee.resolver, "introspection:")
}

// proxy is the name of the stack's skill proxy, its role and its log.
func (s settings) proxy(one stack) string { return s.proxyName + "-" + one.lower() }

// role is the one of the stack's Lambda.
func (s settings) role(one stack) string { return cmp.Or(one.ownLambdaRole, s.proxy(one)) }

// assumedRole is what the Lambda of the stack is to Google's Security Token
// Service, without the session's name.
func (s settings) assumedRole(one stack) string {
	return "arn:aws:sts::" + s.awsAccountID + ":assumed-role/" + s.role(one)
}

func poolPath() string {
	return "iam.googleapis.com/projects/" + ref(projectNumber) + "/locations/global/workloadIdentityPools/" + pool
}

// seconds writes a duration as Google's APIs do.
func seconds(n int) string { return strconv.Itoa(n) + "s" }

const (
	minute = 60
	day    = 24 * 60 * minute
)

// secretNames are the containers that the stacks need.
func (s settings) secretNames(stacks []stack) []string {
	names := []string{lwaSecret}
	if s.needsCredentials() {
		names = append(names, granteeSecret)
	}
	for _, one := range stacks {
		names = append(names, one.keyset())
	}
	return names
}

// locationsOf are the locations of the stacks, each once.
func locationsOf(stacks []stack) []string {
	var locations []string
	for _, one := range stacks {
		locations = append(locations, one.location)
	}
	slices.Sort(locations)
	return slices.Compact(locations)
}
