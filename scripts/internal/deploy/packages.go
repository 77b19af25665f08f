package main

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// packages are the functions' source and the skill proxy's program.
type packages struct {
	sourceDir string // the source, unpacked: gcloud uploads directories only
	proxyZip  string
	proxyHash string // as Lambda shows it
}

// hashLength is how much of the source's hash is put into a label, which has
// at most 63 characters.
const hashLength = 32

// pack builds both packages, or takes those that are given, and unpacks the
// source below work.
func (d *deployment) pack(ctx context.Context, o options, work string) error {
	source := firstOf(o.source, d.settings.sourcePackage)
	proxy := firstOf(o.proxy, d.settings.proxyPackage)
	var err error
	if source == "" {
		source = filepath.Join(work, "source.zip")
		err = d.build(ctx, filepath.Join(o.tree, "scripts", "package"), source)
	}
	if err == nil && proxy == "" && len(d.proxies()) > 0 {
		proxy = filepath.Join(work, "skillproxy.zip")
		err = d.build(ctx, filepath.Join(o.tree, "scripts", "build-proxy"), proxy)
	}
	if err != nil {
		return err
	}
	sum, err := hashOf(source)
	if err != nil {
		return err
	}
	d.known[sourceHash] = hex.EncodeToString(sum)[:hashLength]
	if proxy != "" {
		if sum, err = hashOf(proxy); err != nil {
			return err
		}
		d.proxyZip, d.proxyHash = proxy, base64.StdEncoding.EncodeToString(sum)
	}
	d.sourceDir = filepath.Join(work, "source")
	return unzip(source, d.sourceDir)
}

func (d *deployment) build(ctx context.Context, script, output string) error {
	line := command{args: []string{script, output}}
	_, stderr, err := d.runner.execute(ctx, line.args)
	if err != nil {
		return &commandError{line.String(), string(stderr), err}
	}
	return nil
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func hashOf(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	hash := sha256.New()
	_, err = io.Copy(hash, file)
	return hash.Sum(nil), err
}

// unzip unpacks into a directory, and nowhere else.
func unzip(path, dir string) error {
	archive, err := zip.OpenReader(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer archive.Close()
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	return os.CopyFS(dir, archive)
}
