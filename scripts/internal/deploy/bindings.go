package main

import (
	"fmt"
	"slices"
)

// guarded is a resource with a policy of its own.
type guarded struct {
	kind     string // of gcloud: "secrets"
	name     string
	location string // of a Cloud Run service
}

// binding lets a member do something with one resource.
type binding struct {
	on           guarded
	role, member string
	title        string // of the condition, "" for none
	expression   string
}

var guardedCommands = map[string][]string{
	"project":      {"projects"},
	"secret":       {"secrets"},
	"topic":        {"pubsub", "topics"},
	"subscription": {"pubsub", "subscriptions"},
	"account":      {"iam", "service-accounts"},
	"service":      {"run", "services"},
}

// line is the command line of an action on the resource's policy.
func (g guarded) line(action string) []string {
	line := slices.Concat(guardedCommands[g.kind], []string{action, g.name})
	if g.location != "" {
		line = append(line, "--region="+g.location)
	}
	return line
}

func (g guarded) String() string { return g.kind + " " + g.name }

// bindings are all that anybody may do, in the order in which the resources
// are made. Nothing is for everybody, and only what cannot be granted on one
// resource is granted on the project.
func (d *deployment) bindings() []binding {
	s, project := d.settings, guarded{kind: "project", name: d.settings.projectID}
	var all []binding
	for _, role := range buildRoles {
		all = append(all, binding{on: project, role: role, member: s.member(buildAccount)})
	}
	for _, topic := range []string{deadLetters, refreshDeadLetters} {
		all = append(all, binding{on: guarded{kind: "topic", name: topic}, role: "roles/pubsub.publisher", member: pubsubAgent()})
	}
	for _, one := range d.stacks {
		for _, f := range functions {
			all = append(all, s.functionBindings(one, f)...)
		}
		all = append(all, s.callerBindings(one)...)
	}
	return all
}

// functionBindings are what a function may do, and who may call it.
func (s settings) functionBindings(one stack, f function) []binding {
	me := s.member(one.function(f.entryPoint))
	reads := func(secret string) binding {
		return binding{on: guarded{kind: "secret", name: secret}, role: "roles/secretmanager.secretAccessor", member: me}
	}
	var all []binding
	if f.stores {
		// Firestore has no policy for one database:
		// https://cloud.google.com/firestore/native/docs/manage-databases#configure_per-database_access_permissions
		all = append(all, binding{
			on: guarded{kind: "project", name: s.projectID}, role: "roles/datastore.user", member: me,
			title: one.database(), expression: fmt.Sprintf(`resource.name == "projects/%s/databases/%s"`, s.projectID, one.database()),
		})
	}
	if f.tokens {
		all = append(all, reads(one.keyset()), reads(lwaSecret))
	}
	if f.customers && s.needsCredentials() {
		all = append(all, reads(granteeSecret))
	}
	for _, variable := range f.publishes {
		all = append(all, binding{on: guarded{kind: "topic", name: one.topic(variable)}, role: "roles/pubsub.publisher", member: me})
	}
	service := guarded{kind: "service", name: one.function(f.entryPoint), location: one.location}
	return append(all, binding{on: service, role: "roles/run.invoker", member: s.member(one.named(f.caller))})
}

// callerBindings are who may speak as the accounts that call functions, and
// what Pub/Sub needs to make a message of a subscription a dead letter.
func (s settings) callerBindings(one stack) []binding {
	account := func(name string) guarded { return guarded{kind: "account", name: s.email(one.named(name))} }
	subject := "principal://" + poolPath() + "/subject/" + s.assumedRole(one)
	all := []binding{{on: account("proxy"), role: "roles/iam.serviceAccountOpenIdTokenCreator", member: subject}}
	for _, name := range []string{"push-sendevent", "push-refreshshard"} {
		all = append(all, binding{on: account(name), role: "roles/iam.serviceAccountTokenCreator", member: pubsubAgent()})
	}
	for _, name := range []string{one.named(deviceEvents), one.refreshTopic()} {
		all = append(all, binding{on: guarded{kind: "subscription", name: name}, role: "roles/pubsub.subscriber", member: pubsubAgent()})
	}
	return all
}

// bind returns commands for the bindings on resources of these kinds that are
// not there yet. Those of one resource run one after the other: each reads the
// policy and writes it back.
func (d *deployment) bind(kinds ...string) []command {
	var all []command
	for _, b := range d.bindings() {
		if !slices.Contains(kinds, b.on.kind) || d.bound(b) {
			continue
		}
		line := append(b.on.line("add-iam-policy-binding"), "--role="+b.role, "--member="+b.member)
		switch {
		case b.expression != "":
			line = append(line, "--condition=title="+b.title+",expression="+b.expression)
		case b.on.kind != "topic" && b.on.kind != "subscription": // which have no conditions
			line = append(line, "--condition=None") // or gcloud refuses, where any other binding has one
		}
		all = append(all, d.settings.gcloudWithout(b.on, line...).in(b.on.String()))
	}
	return all
}

// bound reports whether the binding is there.
func (d *deployment) bound(b binding) bool {
	return slices.ContainsFunc(d.have.policies[b.on].Bindings, func(have policyBinding) bool {
		return have.Role == b.role && have.Condition.Expression == b.expression && slices.Contains(have.Members, d.known.resolve(b.member))
	})
}

// gcloudWithout is gcloud without --project where the argument is the project
// itself.
func (s settings) gcloudWithout(on guarded, args ...string) command {
	if on.kind == "project" {
		return command{args: slices.Concat([]string{"gcloud"}, args, []string{"--quiet"})}
	}
	return s.gcloud(args...)
}
