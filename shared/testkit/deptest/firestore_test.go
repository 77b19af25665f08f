package deptest

import (
	"go/ast"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// The Firestore emulator answers every query, with an index or without, so a
// missing index would first be noticed in production, where the query is
// refused. Hence the code and Terraform are compared as text.
const (
	firestoreCode      = "shared/grant/grantfire"
	firestoreTerraform = "infra/modules/stack/firestore.tf"
)

var (
	indexBlock  = regexp.MustCompile(`(?m)^resource "google_firestore_(?:index|field)" "\w+" \{\n(?:[^}].*\n|\n)*\}`)
	fieldName   = regexp.MustCompile(`(?m)^  field\s*=\s*"([^"]+)"`) // of a resource for one field
	fieldOrder  = regexp.MustCompile(`(?m)^      order\s*=\s*"([^"]+)"`)
	fieldsBlock = regexp.MustCompile(`field_path\s*=\s*"([^"]+)"\s*order\s*=\s*"([^"]+)"`)
)

// terraformIndexes returns the indexes that Terraform creates: the composite
// ones, and those of single fields. A field's resource without an index is the
// field's exemption.
func terraformIndexes(text string) []index {
	var indexes []index
	for _, block := range indexBlock.FindAllString(text, -1) {
		var fields index
		for _, match := range fieldsBlock.FindAllStringSubmatch(block, -1) {
			fields = append(fields, match[1]+" "+match[2])
		}
		if len(fields) > 0 {
			indexes = append(indexes, fields)
		}
		field := fieldName.FindStringSubmatch(block)
		for _, order := range fieldOrder.FindAllStringSubmatch(block, -1) {
			if field != nil {
				indexes = append(indexes, index{field[1] + " " + order[1]})
			}
		}
	}
	return indexes
}

func TestFirestoreIndex(t *testing.T) {
	t.Parallel()
	want, err := queryIndexes(tree, firestoreCode)
	if err != nil {
		t.Fatal(err)
	}
	if len(want) == 0 {
		t.Fatalf("no query was found in %s", firestoreCode)
	}
	terraform, err := fs.ReadFile(tree, firestoreTerraform)
	if err != nil {
		t.Fatal(err)
	}
	anyOrder := cmpopts.SortSlices(func(a, b index) bool { return slices.Compare(a, b) < 0 })
	if diff := cmp.Diff(want, terraformIndexes(string(terraform)), anyOrder); diff != "" {
		t.Errorf("the indexes in %s are not those that the queries in %s need (-code +terraform):\n%s", firestoreTerraform, firestoreCode, diff)
	}
}

// TestFirestoreNames holds the names in Terraform's exemptions and expiry
// against the code's: another spelling would silently do nothing.
func TestFirestoreNames(t *testing.T) {
	t.Parallel()
	terraform, err := fs.ReadFile(tree, firestoreTerraform)
	if err != nil {
		t.Fatal(err)
	}
	declarations, err := declarationsIn(tree, firestoreCode)
	if err != nil {
		t.Fatal(err)
	}
	var used []string
	for _, document := range []map[string]any{(grant.Delivery{}).Document(), (grant.Account{}).Document()} {
		used = slices.AppendSeq(used, maps.Keys(document))
	}
	for _, declaration := range declarations {
		ast.Inspect(declaration, func(node ast.Node) bool {
			if literal, ok := node.(*ast.BasicLit); ok {
				used = append(used, strings.Trim(literal.Value, "`\""))
			}
			return true
		})
	}
	for _, name := range []string{"customers", "deliveries", "expireAt", "accounts", "customer"} {
		if !strings.Contains(string(terraform), strconv.Quote(name)) {
			t.Errorf("%s does not name %s", firestoreTerraform, name)
		}
		if !slices.Contains(used, name) {
			t.Errorf("%s names %s, which the code does not use", firestoreTerraform, name)
		}
	}
}

func TestQueryIndexes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, body string
		want       []index
		fails      bool
	}{
		{name: "no query", body: `func f() { c.Doc("x").Get(ctx) }`},
		{name: "by name only", body: `func f() { c.Where(firestore.DocumentID, ">=", a).OrderBy(firestore.DocumentID, firestore.Asc) }`},
		{
			name: "equality, range and order",
			body: `func f() { c.Where("bucket", "in", b).Where("refreshDue", "<=", now).OrderBy("refreshDue", ` +
				`firestore.Asc).OrderBy(firestore.DocumentID, firestore.Asc) }`,
			want: []index{{"bucket ASCENDING", "refreshDue ASCENDING", "__name__ ASCENDING"}},
		},
		{
			name: "in several statements",
			body: `func f() { q := c.OrderBy("a", firestore.Desc); if x { q = q.Where("b", "==", 1) } }`,
			want: []index{{"b ASCENDING", "a DESCENDING", "__name__ DESCENDING"}},
		},
		{
			name: "two functions",
			body: `func f() { c.Where("a", "==", 1) }; func g() { c.Where("b", "==", 1) }`,
			want: []index{{"a ASCENDING"}, {"b ASCENDING"}},
		},
		{name: "order of one field", body: `func f() { c.Where("a", ">", 1).OrderBy("a", firestore.Desc) }`, want: []index{{"a DESCENDING"}}},
		{
			name: "constants",
			body: `const ( bucket = "bucket"; in = "in" ); func f() { c.Where(bucket, in, b) }`,
			want: []index{{"bucket ASCENDING"}},
		},
		{name: "field not a literal", body: `func f() { c.Where(field, "==", 1) }`, fails: true},
		{name: "direction not a literal", body: `func f() { c.OrderBy("a", direction) }`, fails: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := queryIndexes(fstest.MapFS{
				"d/d.go":      {Data: []byte("package d\n\n" + test.body)},
				"d/d_test.go": {Data: []byte("package d\n\nfunc t() { c.Where(\"test\", \"==\", 1) }")},
			}, "d")
			if (err != nil) != test.fails {
				t.Errorf("error = %v, want one: %t", err, test.fails)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("indexes differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTerraformIndexes(t *testing.T) {
	t.Parallel()
	got := terraformIndexes(`
resource "google_firestore_index" "first" {
  collection = "c"

  fields {
    field_path = "a"
    order      = "ASCENDING"
  }
  fields {
    field_path = "__name__"
    order      = "DESCENDING"
  }
}

resource "google_firestore_field" "exempt" {
  collection = "c"
  field      = "x"

  index_config {}
  ttl_config {}
}

resource "google_firestore_field" "single" {
  collection = "c"
  field      = "y"

  index_config {
    indexes {
      order       = "DESCENDING"
      query_scope = "COLLECTION"
    }
  }
}

resource "google_firestore_index" "second" {
  fields {
    field_path = "b"
    order      = "ASCENDING"
  }
}
`)
	want := []index{{"a ASCENDING", "__name__ DESCENDING"}, {"y DESCENDING"}, {"b ASCENDING"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("indexes differ (-want +got):\n%s", diff)
	}
}
