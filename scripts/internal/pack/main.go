// Command pack writes a zip of files and prints its SHA-256. It reads the names of the
// files from standard input, one a line.
//
//	pack DIRECTORY OUTPUT <names
//
// The zip is reproducible: the same files give the same bytes. Entries are sorted, and
// have a fixed time, fixed permissions and no owner. Executable files stay executable.
package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: pack DIRECTORY OUTPUT <names")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

// run writes a temporary file and renames it, so that a concurrent upload reads either
// the whole old zip or the whole new one.
func run(dir, output string, stdin io.Reader, stdout io.Writer) error {
	names, err := io.ReadAll(stdin)
	if err != nil {
		return err
	}
	packed, err := pack(dir, strings.Split(strings.TrimSpace(string(names)), "\n"))
	if err != nil {
		return err
	}
	part := filepath.Join(filepath.Dir(output), "."+filepath.Base(output)+".part")
	defer func() { _ = os.Remove(part) }() // fails after the rename
	if err := os.WriteFile(part, packed, 0o644); err != nil {
		return err
	}
	if err := os.Rename(part, output); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%x  %s\n", sha256.Sum256(packed), output)
	return err
}

func pack(dir string, names []string) ([]byte, error) {
	var packed bytes.Buffer
	archive := zip.NewWriter(&packed)
	// Best compression, because a cold start fetches the zip. It takes a second more.
	archive.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(w, flate.BestCompression)
	})
	slices.Sort(names)
	for _, name := range names {
		path := filepath.Join(dir, name)
		about, err := os.Lstat(path)
		if err != nil {
			return nil, err
		}
		if !about.Mode().IsRegular() {
			return nil, fmt.Errorf("%s is not a regular file", name)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		header := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}
		header.SetMode(0o644 | about.Mode()&0o111) // writable, because the buildpack writes to go.mod
		entry, err := archive.CreateHeader(header)
		if err != nil {
			return nil, err
		}
		if _, err := entry.Write(data); err != nil {
			return nil, err
		}
	}
	err := archive.Close()
	return packed.Bytes(), err
}
