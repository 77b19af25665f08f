package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	admin "cloud.google.com/go/firestore/apiv1/admin"
	"cloud.google.com/go/firestore/apiv1/admin/adminpb"
)

// few is how many names Missing lists.
const few = 10

// Missing returns the error of a name that does not exist in a project. It lists the
// names that do, as full names or ids, or if they are many the most similar ones.
func Missing(kind, name, project string, existing []string) error {
	text := fmt.Sprintf("%s %s does not exist in project %s", kind, name, project)
	if len(existing) == 0 {
		return fmt.Errorf("%s", text)
	}
	ids := make([]string, len(existing))
	for i, full := range existing {
		ids[i] = full[strings.LastIndex(full, "/")+1:]
	}
	slices.SortFunc(ids, func(a, b string) int {
		return cmp.Or(cmp.Compare(likeness(name, b), likeness(name, a)), cmp.Compare(a, b))
	})
	if others := len(ids) - few; others > 0 {
		return fmt.Errorf("%s: there are %s, and %d others", text, strings.Join(ids[:few], ", "), others)
	}
	return fmt.Errorf("%s: there are %s", text, strings.Join(ids, ", "))
}

// likeness returns how many pairs of adjacent letters of a are in b.
func likeness(a, b string) (n int) {
	for i := range len(a) - 1 {
		if strings.Contains(b, a[i:i+2]) {
			n++
		}
	}
	return n
}

// databases returns the names of a project's databases, or nothing if they cannot be
// listed.
func (env *Env) databases(ctx context.Context, project string) []string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	client, err := admin.NewFirestoreAdminClient(ctx, env.Google...)
	if err != nil {
		return nil
	}
	defer func() { _ = client.Close() }()
	response, err := client.ListDatabases(ctx, &adminpb.ListDatabasesRequest{Parent: "projects/" + project})
	if err != nil {
		return nil
	}
	var names []string
	for _, database := range response.Databases {
		names = append(names, database.Name)
	}
	return names
}
