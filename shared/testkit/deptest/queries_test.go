package deptest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// index is the fields of an index as "field ASCENDING". It is composite if it
// has several.
type index []string

// queryIndexes returns the index that each query in the package's product code
// needs. The calls of one function make one query. One that only goes by
// document name needs no index.
func queryIndexes(files fs.FS, dir string) ([]index, error) {
	declarations, err := declarationsIn(files, dir)
	if err != nil {
		return nil, err
	}
	names := constantsOf(declarations)
	var indexes []index
	for _, declaration := range declarations {
		needed, err := names.indexOf(declaration)
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

// constants are the package's constant texts by name.
type constants map[string]string

func constantsOf(declarations []ast.Decl) constants {
	found := constants{}
	for _, declaration := range declarations {
		general, ok := declaration.(*ast.GenDecl)
		if !ok || general.Tok != token.CONST {
			continue
		}
		for _, spec := range general.Specs {
			values := spec.(*ast.ValueSpec)
			for i, value := range values.Values {
				if text := found.text(value); text != "" {
					found[values.Names[i].Name] = text
				}
			}
		}
	}
	return found
}

// text is what the expression says, "" for anything but a literal or constant.
func (c constants) text(expression ast.Expr) string {
	switch e := expression.(type) {
	case *ast.Ident:
		return c[e.Name]
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return text
		}
	}
	return ""
}

// indexOf is the index for the Where and OrderBy calls in one declaration:
// fields that are compared for equality first, then those that give the order,
// then the document's name in the direction of the last of them
// (https://cloud.google.com/firestore/docs/query-data/index-overview). An
// inequality adds nothing: it must be on a field that is also ordered by. A
// query by a single field needs that field's own index, which has no document
// name in it.
func (c constants) indexOf(declaration ast.Decl) (index, error) {
	var equal, ordered index
	for _, call := range queryCalls(declaration) {
		field, operator := c.text(call.Args[0]), c.text(call.Args[1])
		if selected(call.Args[0]) == "DocumentID" {
			field = "__name__"
		}
		if operator == "" {
			operator = selected(call.Args[1]) // firestore.Asc or firestore.Desc
		}
		switch {
		case field == "" || operator == "":
			return nil, errors.New("field or operator is neither a literal nor a constant, so the index it needs cannot be told")
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

// byName adds the document's name, which ends every composite index.
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

// queryCalls returns the calls of Where and OrderBy in the order of the text.
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

// selected is the b of a.b.
func selected(expression ast.Expr) string {
	if selector, ok := expression.(*ast.SelectorExpr); ok {
		return selector.Sel.Name
	}
	return ""
}
