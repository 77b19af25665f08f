package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A facet is one thing about a resource that the settings decide.
type facet struct {
	what  string
	flags []string // of create and update
	want  string
	have  string // in the form of want
	// fixed is set for what the cloud never changes. The resource would have to
	// be deleted, with all that is in it, which this program does not do.
	fixed bool
	// mend is a command line of its own that puts it right, where update cannot.
	mend []string
}

// A resource is what is to be there, held against what is.
type resource struct {
	name   string // for people, "subscription dead-letters"
	exists bool
	create []string // command line up to the facets' flags
	update []string // the same; empty if only create can write facets
	after  []string // flags of create and update that decide nothing
	facets []facet
	whole  bool   // update wants the flags of all facets: it forgets what is not given
	queue  string // "" for one of its own
}

// commands returns what makes the resource, or brings it in line, one after the
// other. There are none if there is nothing to do.
func (r resource) commands(s settings) []command {
	var all []command
	var flags []string
	everything := !r.exists || r.whole && r.changed()
	for _, f := range r.facets {
		switch {
		case r.exists && f.have != f.want && f.mend != nil:
			all = append(all, s.gcloud(f.mend...))
		case everything || f.have != f.want:
			flags = append(flags, f.flags...)
		}
	}
	switch {
	case !r.exists:
		all = append(all, s.gcloud(slices.Concat(r.create, flags, r.after)...))
	case len(flags) > 0:
		all = append(all, s.gcloud(slices.Concat(r.update, flags, r.after)...))
	}
	for i := range all {
		all[i] = all[i].in(cmp.Or(r.queue, r.name))
	}
	return all
}

// changed reports whether any facet is not as it should be.
func (r resource) changed() bool {
	return slices.ContainsFunc(r.facets, func(f facet) bool { return f.have != f.want })
}

// refusals says what is not as it should be and cannot be changed.
func (r resource) refusals() []string {
	var refusals []string
	for _, f := range r.facets {
		if r.exists && f.fixed && f.have != f.want {
			refusals = append(refusals, fmt.Sprintf("%s: the %s is %q and should be %q, which cannot be changed", r.name, f.what, f.have, f.want))
		}
	}
	return refusals
}

// commands returns those of the resources, in their order.
func commands(s settings, resources []resource) []command {
	var all []command
	for _, r := range resources {
		all = append(all, r.commands(s)...)
	}
	return all
}

// base is the last element of a resource's full name.
func base(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }
