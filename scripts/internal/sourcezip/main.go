// Command sourcezip packs the source that Google's Go buildpack builds the
// functions from: what .gcloudignore leaves of a directory, which is what
// `gcloud functions deploy` would upload. There is no second list to forget.
//
//	sourcezip DIRECTORY >OUTPUT
//
// The same files give the same bytes, whenever, wherever and by whomever they
// are packed: entries are sorted, and have a fixed time, fixed permissions and
// no owner.
//
// It refuses to pack anything but Go source and the module's two files. A key
// or a dump that somebody left beside the code ends the program with its name,
// and so does a rule of .gcloudignore that it does not know. Nothing is written
// in that case.
package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: sourcezip DIRECTORY >OUTPUT")
		os.Exit(2)
	}
	if err := run(os.DirFS(os.Args[1]), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sourcezip:", err)
		os.Exit(1)
	}
}

// run packs all before it writes any: half a zip would be no use to anybody.
func run(tree fs.FS, w io.Writer) error {
	names, err := source(tree)
	if err != nil {
		return err
	}
	var packed bytes.Buffer
	if err := pack(&packed, tree, names); err != nil {
		return err
	}
	_, err = packed.WriteTo(w)
	return err
}
