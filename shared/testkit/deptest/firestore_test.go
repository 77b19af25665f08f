package deptest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// The Firestore emulator answers every query without an index, so a missing index
// would first be noticed in production, where the query fails. Therefore the code
// and Terraform are compared as text.
const (
	firestoreCode      = "shared/grant/grantfire"
	firestoreTerraform = "infra/modules/stack/firestore.tf"
)

var (
	indexBlock  = regexp.MustCompile(`(?m)^resource "google_firestore_(?:index|field)" "\w+" \{\n(?:[^}].*\n|\n)*\}`)
	fieldName   = regexp.MustCompile(`(?m)^  field\s*=\s*"([^"]+)"`) // of a single-field resource
	fieldOrder  = regexp.MustCompile(`(?m)^      order\s*=\s*"([^"]+)"`)
	fieldsBlock = regexp.MustCompile(`field_path\s*=\s*"([^"]+)"\s*order\s*=\s*"([^"]+)"`)
)

// terraformIndexes returns the indexes that Terraform creates: the composite ones,
// and those of single fields. A field's resource without an index is the field's
// exemption.
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
		t.Errorf("the indexes in %s differ from those of the queries in %s (-code +terraform):\n%s", firestoreTerraform, firestoreCode, diff)
	}
}

// TestFirestoreNames compares the names in Terraform's exemptions and expiry with
// the code's: a misspelt one would have no effect.
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
		{name: "field not a literal", body: `const field = "a"; func f() { c.Where(field, "==", 1) }`, fails: true},
		{name: "direction not a literal", body: `func f() { c.OrderBy("a", direction) }`, fails: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := queryIndexes(fstest.MapFS{
				"d/d.go":      {Data: []byte("package d\n\n" + test.body)},
				"d/d_test.go": {Data: []byte("package d\n\nfunc t() { c.Where(\"test\", \"==\", 1) }")},
			}, "d")
			if (err != nil) != test.fails {
				t.Errorf("error = %v, want an error: %t", err, test.fails)
			}
			expect.Equal(t, "indexes", test.want, got)
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
	expect.Equal(t, "indexes", want, got)
}

// index is the fields of an index as "field ASCENDING". A composite index has
// several.
type index []string

// queryIndexes returns the index for each query in the package's product code. The
// calls in one function make one query. A query by document name alone needs no
// index.
func queryIndexes(files fs.FS, dir string) ([]index, error) {
	declarations, err := declarationsIn(files, dir)
	if err != nil {
		return nil, err
	}
	var indexes []index
	for _, declaration := range declarations {
		needed, err := indexOf(declaration)
		if err != nil {
			return nil, fmt.Errorf("a query in %s: %w", dir, err)
		}
		if len(needed) > 0 {
			indexes = append(indexes, needed)
		}
	}
	return indexes, nil
}

// declarationsIn parses the product code of one package.
func declarationsIn(files fs.FS, dir string) ([]ast.Decl, error) {
	names, err := fs.Glob(files, path.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var declarations []ast.Decl
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("parse the queries: %w", err)
		}
		declarations = append(declarations, parsed.Decls...)
	}
	return declarations, nil
}

// textOf returns the value of a literal, and "" for any other expression.
func textOf(expression ast.Expr) string {
	if e, ok := expression.(*ast.BasicLit); ok && e.Kind == token.STRING {
		text, _ := strconv.Unquote(e.Value) // it was parsed
		return text
	}
	return ""
}

// indexOf returns the index for the Where and OrderBy calls in one declaration:
// first the fields that are compared for equality, then those of the order, then
// the document's name in the direction of the last one
// (https://cloud.google.com/firestore/docs/query-data/index-overview). An
// inequality adds nothing, because its field must be in the order too. A query by a
// single field needs that field's own index, without the document's name.
func indexOf(declaration ast.Decl) (index, error) {
	var equal, ordered index
	for _, call := range queryCalls(declaration) {
		field, operator := textOf(call.Args[0]), textOf(call.Args[1])
		if selected(call.Args[0]) == "DocumentID" {
			field = "__name__"
		}
		if operator == "" {
			operator = selected(call.Args[1]) // firestore.Asc or firestore.Desc
		}
		switch {
		case field == "" || operator == "":
			return nil, errors.New("field or operator is no literal: its index is unknown")
		case operator == "==" || operator == "in":
			equal = append(equal, field+" ASCENDING")
		case operator == "Asc":
			ordered = append(ordered, field+" ASCENDING")
		case operator == "Desc":
			ordered = append(ordered, field+" DESCENDING")
		}
	}
	return byName(append(equal, ordered...)), nil
}

// byName appends the document's name, which ends every composite index.
func byName(fields index) index {
	isName := func(field string) bool { return strings.HasPrefix(field, "__name__ ") }
	if slices.IndexFunc(fields, func(field string) bool { return !isName(field) }) < 0 {
		return nil
	}
	if last := fields[len(fields)-1]; len(fields) > 1 && !isName(last) {
		_, direction, _ := strings.Cut(last, " ")
		fields = append(fields, "__name__ "+direction)
	}
	return fields
}

// queryCalls returns the calls of Where and OrderBy in order.
func queryCalls(declaration ast.Decl) []*ast.CallExpr {
	var calls []*ast.CallExpr
	ast.Inspect(declaration, func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if !ok {
			return true
		}
		if name := selected(call.Fun); (name == "Where" || name == "OrderBy") && len(call.Args) >= 2 {
			calls = append(calls, call)
		}
		return true
	})
	slices.SortFunc(calls, func(a, b *ast.CallExpr) int { return int(a.Rparen - b.Rparen) })
	return calls
}

// selected returns the b of a.b.
func selected(expression ast.Expr) string {
	if selector, ok := expression.(*ast.SelectorExpr); ok {
		return selector.Sel.Name
	}
	return ""
}
