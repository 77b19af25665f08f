package deptest

import (
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTroubleshooting: the page for an event that does not arrive has a section for
// each outcome and a row for each code and reason, and its queries, like those of the
// playbooks, name fields that there are.
func TestTroubleshooting(t *testing.T) {
	t.Parallel()
	page, readme := read(t, "functions/TROUBLESHOOTING.md"), read(t, "README.md")
	names := func(pattern, text string) (found []string) {
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			found = append(found, match[1])
		}
		if len(found) == 0 {
			t.Errorf("nothing matches %s", pattern)
		}
		return found
	}
	for _, outcome := range names(`OutcomeName = "(\w+)"`, read(t, "shared/delivery/outcome.go")) {
		if !strings.Contains(page, "\n### `"+outcome+"`\n") || !strings.Contains(readme, "`"+outcome+"`") {
			t.Errorf("TROUBLESHOOTING.md has no section, or README.md no row, for the outcome %s", outcome)
		}
	}
	codes := names("(?m)^\\| `([A-Z_]+)` ", section(t, "Outcomes"))
	reasons := names(`Reason\w+ += "(\w+)"`, read(t, "shared/grant/suspect.go"))
	for _, name := range slices.Concat(codes, reasons) {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("TROUBLESHOOTING.md says nothing of %s", name)
		}
	}
	playbooks, err := fs.Glob(tree, "infra/playbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	queries := page
	for _, playbook := range playbooks {
		queries += read(t, playbook)
	}
	fields := section(t, "Log fields")
	for _, name := range names(`jsonPayload\.(\w+)`, queries) {
		if strings.HasPrefix(name, "error_") {
			name = "error_…"
		}
		if !strings.Contains(fields, "`"+name+"`") {
			t.Errorf("TROUBLESHOOTING.md or a playbook queries %s, which is no field of CONTRACTS.md", name)
		}
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^():\s]*)\)`) // a colon is in those to other sites only
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	// unlinked is what GitHub leaves out of a heading's anchor.
	unlinked = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// TestLinks: what a page links to is there, the heading as well.
func TestLinks(t *testing.T) {
	t.Parallel()
	pages, err := pagesIn(tree)
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		for _, found := range link.FindAllStringSubmatch(read(t, page), -1) {
			file, anchor, _ := strings.Cut(found[1], "#")
			target := page
			if file != "" {
				target = path.Join(path.Dir(page), file)
			}
			if _, err := fs.Stat(tree, target); err != nil {
				t.Errorf("%s links to %s, which is not there", page, found[1])
			} else if anchor != "" && !slices.Contains(anchors(read(t, target)), anchor) {
				t.Errorf("%s links to %s, and %s has no such heading", page, found[1], target)
			}
		}
	}
}

// pagesIn returns the pages of a tree.
func pagesIn(files fs.FS) (pages []string, err error) {
	err = fs.WalkDir(files, ".", func(file string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && skipped(files, file) {
			return fs.SkipDir
		}
		if path.Ext(file) == ".md" {
			pages = append(pages, file)
		}
		return err
	})
	return pages, err
}

// anchors returns the anchors that GitHub gives a page's headings.
func anchors(page string) (found []string) {
	for _, match := range heading.FindAllStringSubmatch(page, -1) {
		found = append(found, strings.ReplaceAll(unlinked.ReplaceAllString(strings.ToLower(match[1]), ""), " ", "-"))
	}
	return found
}
