package main

import "fmt"

// databases are the stacks' databases. Without the refresh tokens in them every
// customer has to link the skill anew, so they are protected against deletion.
func (d *deployment) databases() []resource {
	var all []resource
	for _, one := range d.stacks {
		have, exists := d.have.databases[one.database()]
		all = append(all, resource{
			name: "database " + one.database(), exists: exists,
			create: []string{"firestore", "databases", "create", "--database=" + one.database()},
			update: []string{"firestore", "databases", "update", "--database=" + one.database()},
			facets: []facet{
				{what: "location", flags: []string{"--location=" + one.firestoreLocation}, want: one.firestoreLocation, have: have.LocationID, fixed: true},
				{what: "type", flags: []string{"--type=firestore-native"}, want: "FIRESTORE_NATIVE", have: have.Type, fixed: true},
				{what: "edition", flags: []string{"--edition=standard"}, want: "STANDARD", have: have.DatabaseEdition, fixed: true},
				{what: "protection", flags: []string{"--delete-protection"}, want: "DELETE_PROTECTION_ENABLED", have: have.DeleteProtectionState},
				{what: "recovery", flags: []string{"--enable-pitr"}, want: "POINT_IN_TIME_RECOVERY_ENABLED", have: have.PointInTimeRecoveryEnablement},
			},
		})
	}
	return all
}

// field is what is said of one field of a collection.
type field struct {
	collection, path string
	ascending        bool // indexed by itself; others are not indexed at all
	expires          bool // Firestore deletes the document some time after it
}

// fields are those with indexes of their own. Firestore indexes every field in
// both directions unless told otherwise, and little else than the sweep's index
// is queried: "*" is any field of the collection that is not listed.
var fields = []field{
	{collection: "customers", path: "*"},
	{collection: "deliveries", path: "*"},
	{collection: "accounts", path: "*"},
	{collection: "accounts", path: "customer", ascending: true},
	{collection: "deliveries", path: "expireAt", expires: true},
	{collection: "accounts", path: "expireAt", expires: true},
}

// sweepIndex is the index of the sweep's query, of which sweepPaths are the
// fields.
const sweepIndex = "COLLECTION customers bucket ASCENDING refreshDue ASCENDING"

var sweepPaths = []string{"bucket", "refreshDue"}

// indexes are the changes to indexes, one after the other in each database,
// which refuses two at a time.
func (d *deployment) indexes() []command {
	var all []command
	for _, one := range d.stacks {
		have, database := d.have.indexes[one.database()], "--database="+one.database()
		add := func(args ...string) {
			all = append(all, d.settings.gcloud(append(args, database)...).in(one.database()))
		}
		if _, exists := have.composite[sweepIndex]; !exists {
			line := []string{"firestore", "indexes", "composite", "create", "--collection-group=customers", "--query-scope=collection"}
			for _, path := range sweepPaths {
				line = append(line, "--field-config=field-path="+path+",order=ascending")
			}
			add(line...)
		}
		for _, f := range fields {
			name, group := f.collection+"/"+f.path, "--collection-group="+f.collection
			if index, told := have.fields[name]; !told || index != f.index() {
				add("firestore", "indexes", "fields", "update", f.path, group, f.indexFlag())
			}
			if f.expires && !have.expiring[name] {
				add("firestore", "fields", "ttls", "update", f.path, group, "--enable-ttl")
			}
		}
	}
	return all
}

// unsoundIndexes says where no sweep can run, and no command repairs it.
func (d *deployment) unsoundIndexes() []string {
	var refusals []string
	for _, one := range d.stacks {
		if d.have.indexes[one.database()].composite[sweepIndex] == needsRepair {
			refusals = append(refusals, fmt.Sprintf("database %s: the index of customers by bucket and refreshDue could not be built: delete it, then run again; see: gcloud firestore indexes composite list --database=%s --project=%s",
				one.database(), one.database(), d.settings.projectID))
		}
	}
	return refusals
}

func (f field) index() string {
	if f.ascending {
		return "COLLECTION ASCENDING"
	}
	return ""
}

func (f field) indexFlag() string {
	if f.ascending {
		return "--index=order=ascending"
	}
	return "--disable-indexes"
}
