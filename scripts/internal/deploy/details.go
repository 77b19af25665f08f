package main

import (
	"slices"
	"strings"
)

// askDetails asks about what is there.
func (d *deployment) askDetails() []question {
	s := d.settings
	var all []question
	for _, name := range s.secretNames(d.stacks) {
		if d.have.secrets[name] {
			all = append(all, d.askFilled(name))
		}
	}
	for _, one := range d.stacks {
		if _, exists := d.have.databases[one.database()]; exists {
			all = append(all, d.askIndexes(one.database())...)
		}
	}
	if d.have.pool.Name != "" && d.have.pool.State != deleted {
		all = append(all, list(s.gcloud("iam", "workload-identity-pools", "providers", "list", "--workload-identity-pool="+pool, "--location=global", "--show-deleted"), func(one listedProvider) {
			if base(one.Name) == provider {
				d.have.provider = one
			}
		}))
	}
	all = append(all, d.askFormerJobs()...)
	asked := map[guarded]bool{}
	for _, b := range d.bindings() {
		if !asked[b.on] && d.exists(b.on) {
			asked[b.on] = true
			line := s.gcloudWithout(b.on, b.on.line("get-iam-policy")...)
			all = append(all, ask(line, func(p policy) { d.have.policies[b.on] = p }).orMissing(notFound))
		}
	}
	return append(all, d.askAWSDetails()...)
}

// notFound is what gcloud says of a resource that is not there.
const notFound = "NOT_FOUND"

// askFormerJobs asks for the jobs where stacks have been before.
func (d *deployment) askFormerJobs() []question {
	var locations []string
	for _, one := range d.stacks {
		locations = append(locations, d.formerLocations(one)...)
	}
	slices.Sort(locations)
	var all []question
	for _, location := range slices.Compact(locations) {
		all = append(all, d.askJobs(location))
	}
	return all
}

// askFilled asks whether the secret has a version that can be used. Nothing
// asks for what is in it.
func (d *deployment) askFilled(secret string) question {
	type version struct {
		State string `json:"state"`
	}
	return list(d.settings.gcloud("secrets", "versions", "list", secret, "--filter=state=ENABLED", "--limit=1"), func(one version) {
		if one.State == "ENABLED" {
			d.have.filled[secret] = true
		}
	})
}

func (d *deployment) askIndexes(database string) []question {
	have := indexes{composite: map[string]string{}, fields: map[string]string{}, expiring: map[string]bool{}}
	line := func(args ...string) command { return d.settings.gcloud(append(args, "--database="+database)...) }
	d.have.indexes[database] = have
	return []question{
		list(line("firestore", "indexes", "composite", "list"), func(one listedIndex) { have.composite[one.String()] = one.State }),
		list(line("firestore", "indexes", "fields", "list"), func(one listedField) { have.fields[fieldOf(one.Name)] = one.orders() }),
		list(line("firestore", "fields", "ttls", "list"), func(one listedField) { have.expiring[fieldOf(one.Name)] = one.TTLConfig.State != needsRepair }),
	}
}

// needsRepair is the state of what Firestore could not build.
const needsRepair = "NEEDS_REPAIR"

// String is the index's scope, collection and fields with their orders; the name
// of the document, which ends every index, left out.
func (l listedIndex) String() string {
	return strings.Join(slices.Concat([]string{l.QueryScope, collectionOf(l.Name)}, l.order(true)), " ")
}

// order is how the index orders its fields, each with its path or without.
// CONTAINS is said of an array.
func (l listedIndex) order(paths bool) []string {
	var all []string
	for _, one := range l.Fields {
		if one.FieldPath == "__name__" {
			continue
		}
		if paths {
			all = append(all, one.FieldPath)
		}
		all = append(all, one.Order+one.ArrayConfig)
	}
	return all
}

// orders is how the field is indexed by itself.
func (l listedField) orders() string {
	var all []string
	for _, index := range l.IndexConfig.Indexes {
		all = append(all, index.QueryScope+" "+strings.Join(index.order(false), " "))
	}
	return strings.Join(all, ",")
}

// collectionOf returns C of projects/P/databases/D/collectionGroups/C/….
func collectionOf(name string) string {
	_, rest, _ := strings.Cut(name, "/collectionGroups/")
	collection, _, _ := strings.Cut(rest, "/")
	return collection
}

func fieldOf(name string) string { return collectionOf(name) + "/" + base(name) }

// exists reports whether the resource was there when stock was taken.
func (d *deployment) exists(g guarded) bool {
	var exists bool
	switch g.kind {
	case "project":
		exists = true
	case "secret":
		exists = d.have.secrets[g.name]
	case "topic":
		_, exists = d.have.topics[g.name]
	case "subscription":
		_, exists = d.have.subscriptions[g.name]
	case "account":
		_, exists = d.have.accounts[g.name]
	case "service":
		// Until a first build has succeeded there is no service.
		exists = d.have.functions[g.location+"/"+g.name].ServiceConfig.URI != ""
	}
	return exists
}
