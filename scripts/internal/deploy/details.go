package main

import "strings"

// askDetails asks about what is there.
func (d *deployment) askDetails() []question {
	s := d.settings
	var all []question
	for _, name := range s.secretNames(d.stacks) {
		if _, exists := d.have.secrets[name]; exists {
			all = append(all, d.askFilled(name))
		}
	}
	for _, one := range d.stacks {
		if _, exists := d.have.databases[one.database()]; exists {
			all = append(all, d.askIndexes(one.database())...)
		}
	}
	if d.have.pool.Name != "" {
		all = append(all, list(s.gcloud("iam", "workload-identity-pools", "providers", "list", "--workload-identity-pool="+pool, "--location=global"), func(one listedProvider) {
			if base(one.Name) == provider {
				d.have.provider = one
			}
		}))
	}
	asked := map[guarded]bool{}
	for _, b := range d.bindings() {
		if !asked[b.on] && d.exists(b.on) {
			asked[b.on] = true
			line := s.gcloudWithout(b.on, b.on.line("get-iam-policy")...)
			all = append(all, ask(line, func(p policy) { d.have.policies[b.on] = p }))
		}
	}
	return append(all, d.askAWSDetails()...)
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
	have := indexes{fields: map[string]string{}, expiring: map[string]bool{}}
	line := func(args ...string) command { return d.settings.gcloud(append(args, "--database="+database)...) }
	d.have.indexes[database] = have
	return []question{
		list(line("firestore", "indexes", "composite", "list"), func(one listedIndex) {
			of := d.have.indexes[database]
			of.composite = append(of.composite, one.paths())
			d.have.indexes[database] = of
		}),
		list(line("firestore", "indexes", "fields", "list"), func(one listedField) { have.fields[fieldOf(one.Name)] = one.order() }),
		list(line("firestore", "fields", "ttls", "list"), func(one listedField) { have.expiring[fieldOf(one.Name)] = true }),
	}
}

// paths is the index's collection and fields; the name of the document, which
// ends every index, left out.
func (l listedIndex) paths() string {
	all := []string{collectionOf(l.Name)}
	for _, one := range l.Fields {
		if one.FieldPath != "__name__" {
			all = append(all, one.FieldPath)
		}
	}
	return strings.Join(all, " ")
}

// order is how the field is indexed by itself.
func (l listedField) order() string {
	var orders []string
	for _, index := range l.IndexConfig.Indexes {
		for _, one := range index.Fields {
			if one.FieldPath != "__name__" {
				orders = append(orders, one.Order)
			}
		}
	}
	return strings.Join(orders, ",")
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
		_, exists = d.have.secrets[g.name]
	case "topic":
		_, exists = d.have.topics[g.name]
	case "subscription":
		_, exists = d.have.subscriptions[g.name]
	case "account":
		exists = d.have.accounts[g.name]
	case "service":
		_, exists = d.have.functions[g.location+"/"+g.name]
	}
	return exists
}
