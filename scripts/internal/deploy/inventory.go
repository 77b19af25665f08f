package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// inventory is what is there. An empty one is a new project's.
type inventory struct {
	apis          map[string]bool
	accounts      map[string]listedAccount // by address
	secrets       map[string]bool
	filled        map[string]bool // secrets with a version that can be used
	databases     map[string]listedDatabase
	indexes       map[string]indexes // by database
	topics        map[string]listedTopic
	subscriptions map[string]listedSubscription
	functions     map[string]deployed  // by location/name
	jobs          map[string]listedJob // by location/name
	pool          listedPool
	provider      listedProvider
	policies      map[guarded]policy
	lambdas       map[string]listedLambda // by Alexa region
}

// indexes are those of a database.
type indexes struct {
	composite map[string]string // state, by "SCOPE collection field ORDER field ORDER"
	fields    map[string]string // "SCOPE ORDER" of each index, by collection/field
	expiring  map[string]bool   // by collection/field
}

func newInventory() inventory {
	return inventory{
		apis: map[string]bool{}, accounts: map[string]listedAccount{}, secrets: map[string]bool{}, filled: map[string]bool{},
		databases: map[string]listedDatabase{}, indexes: map[string]indexes{}, topics: map[string]listedTopic{},
		subscriptions: map[string]listedSubscription{}, functions: map[string]deployed{}, jobs: map[string]listedJob{},
		policies: map[guarded]policy{}, lambdas: map[string]listedLambda{},
	}
}

// question asks the cloud. None of them changes anything.
type question struct {
	command
	answer func([]byte) error
	// missing is what the CLI says of a resource that is not there, where that
	// is an answer too.
	missing string
	// reach are the locations without which the answer would be of a part only.
	reach []string
}

// partial is the error of a list that could not be had from all locations that
// matter: what is not in it would be made again.
func (q question) partial(stderr string) error {
	if !strings.Contains(stderr, "unreachable") {
		return nil
	}
	for _, location := range q.reach {
		if strings.Contains(stderr, location) {
			return fmt.Errorf("%s could not be reached", location)
		}
	}
	return nil
}

// ask returns a question whose answer is JSON.
func ask[T any](c command, take func(T)) question {
	c.args = slices.Clone(c.args)
	if c.args[0] == "gcloud" {
		c.args = append(c.args, "--format=json")
	}
	return question{command: c, answer: func(data []byte) error {
		var value T
		if err := json.Unmarshal(data, &value); err != nil {
			return fmt.Errorf("%s\nanswered what is no such JSON: %w", c, err)
		}
		take(value)
		return nil
	}}
}

// list returns a question whose answer is a list.
func list[T any](c command, take func(T)) question {
	return ask(c, func(all []T) {
		for _, one := range all {
			take(one)
		}
	})
}

// takeStock asks for everything that needs the APIs: what resources there are,
// and then what is said of single ones.
func (d *deployment) takeStock(ctx context.Context) error {
	for _, round := range []func() []question{d.askResources, d.askDetails} {
		if err := d.runner.ask(ctx, round()); err != nil {
			return err
		}
	}
	return nil
}

// askProject asks what can be asked of any project.
func (d *deployment) askProject() []question {
	s := d.settings
	type project struct {
		ProjectNumber string `json:"projectNumber"`
	}
	type service struct {
		Config struct {
			Name string `json:"name"`
		} `json:"config"`
	}
	describe := command{args: []string{"gcloud", "projects", "describe", s.projectID, "--quiet"}}
	return []question{
		ask(describe, func(p project) { d.known[projectNumber] = p.ProjectNumber }),
		list(s.gcloud("services", "list", "--enabled"), func(one service) { d.have.apis[one.Config.Name] = true }),
	}
}

func (d *deployment) askResources() []question {
	s, have := d.settings, d.have
	type secret struct {
		Name string `json:"name"`
	}
	all := []question{
		list(s.gcloud("iam", "service-accounts", "list"), func(one listedAccount) { have.accounts[one.Email] = one }),
		list(s.gcloud("secrets", "list"), func(one secret) { have.secrets[base(one.Name)] = true }),
		list(s.gcloud("firestore", "databases", "list"), func(one listedDatabase) { have.databases[base(one.Name)] = one }),
		list(s.gcloud("pubsub", "topics", "list"), func(one listedTopic) { have.topics[base(one.Name)] = one }),
		list(s.gcloud("pubsub", "subscriptions", "list"), func(one listedSubscription) { have.subscriptions[base(one.Name)] = one }),
		list(s.gcloud("iam", "workload-identity-pools", "list", "--location=global", "--show-deleted"), func(one listedPool) {
			if base(one.Name) == pool {
				d.have.pool = one
			}
		}),
		d.askFunctions(),
	}
	for _, location := range locationsOf(d.stacks) {
		all = append(all, d.askJobs(location))
	}
	return append(all, d.askAWS()...)
}

func (d *deployment) askJobs(location string) question {
	return list(d.settings.gcloud("scheduler", "jobs", "list", "--location="+location), func(one listedJob) {
		d.have.jobs[location+"/"+base(one.Name)] = one
	})
}

// askFunctions also learns where the functions are. It asks for all locations:
// a stack may have been in another.
func (d *deployment) askFunctions() question {
	q := list(d.settings.gcloud("functions", "list", "--v2", "--regions=-"), func(one deployed) {
		parts := strings.Split(one.Name, "/") // projects/P/locations/L/functions/F
		if len(parts) == 6 {
			d.have.functions[parts[3]+"/"+parts[5]] = one
		}
		for _, of := range d.stacks {
			for _, f := range functions {
				if of.location == parts[3] && of.function(f.entryPoint) == base(one.Name) {
					d.known[of.urlName(f.entryPoint)] = one.ServiceConfig.URI
				}
			}
		}
	})
	q.reach = locationsOf(d.stacks)
	return q
}
