// Command lambdazip packs a program as AWS Lambda wants it for the runtime
// provided.al2023: a zip with one executable file, bootstrap. The same program
// gives the same bytes, whenever, wherever and by whomever it is packed: the
// entry has a fixed time, fixed permissions and no owner. It prints the SHA-256
// of the zip.
//
//	lambdazip PROGRAM OUTPUT
package main

import (
	"archive/zip"
	"compress/flate"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"time"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: lambdazip PROGRAM OUTPUT")
		os.Exit(2)
	}
	sum, err := pack(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "lambdazip:", err)
		os.Exit(1)
	}
	fmt.Printf("%x  %s\n", sum, os.Args[2])
}

// pack writes beside the output and renames: whoever uploads it meanwhile gets
// all of the old one or all of the new one. It returns the SHA-256.
func pack(program, output string) ([]byte, error) {
	data, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	part := output + ".part"
	file, err := os.Create(part)
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(part) }() // gone already if all went well
	hash := sha256.New()
	if err := write(io.MultiWriter(file, hash), data); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("writing %s: %w", part, err)
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	return hash.Sum(nil), os.Rename(part, output)
}

func write(w io.Writer, program []byte) error {
	archive := zip.NewWriter(w)
	// A cold start has to fetch the zip; packing it takes a second more.
	archive.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(w, flate.BestCompression)
	})
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate, Modified: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}
	header.SetMode(0o755)
	entry, err := archive.CreateHeader(header)
	if err != nil {
		return err
	}
	if _, err := entry.Write(program); err != nil {
		return err
	}
	return archive.Close()
}
