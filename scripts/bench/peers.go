package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// peers are the senders that others would write.
//
//go:embed peers
var peers embed.FS

// runtimes says where what the peers need is.
type runtimes struct {
	peers   bool   // take part at all
	python  string // an interpreter that has aiohttp; looked for when empty
	modules string // a node_modules directory
	install bool   // has npm install them
}

// errAbsent is a peer that cannot run here, and why.
type errAbsent struct{ reason string }

func (e errAbsent) Error() string { return e.reason }

// pythonPeer writes the peer to dir and returns its command line.
func (r runtimes) pythonPeer(ctx context.Context, dir string) ([]string, error) {
	places := []string{"python3", "/usr/bin/python3"}
	if r.python != "" {
		places = []string{r.python}
	}
	for _, python := range places {
		if exec.CommandContext(ctx, python, "-c", "import aiohttp").Run() == nil {
			script, err := writePeer(dir, "sender.py")
			return []string{python, script}, err
		}
	}
	return nil, errAbsent{fmt.Sprintf("no aiohttp for %s: apt-get install python3-aiohttp, or -python", strings.Join(places, " or "))}
}

// nodePeer writes the peer to dir, with the packages that it needs if they are
// to be installed, and returns its command line and environment.
func (r runtimes) nodePeer(ctx context.Context, dir string) ([]string, map[string]string, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, nil, errAbsent{"no node"}
	}
	script, err := writePeer(dir, "sender.js")
	if err != nil {
		return nil, nil, err
	}
	env := map[string]string{"NODE_PATH": r.modules}
	if r.install {
		env["NODE_PATH"] = filepath.Join(dir, "node_modules")
		if err := npmInstall(ctx, dir); err != nil {
			return nil, nil, err
		}
	}
	probe := exec.CommandContext(ctx, node, "-e", "require('express'); require('axios')")
	probe.Env = append(os.Environ(), "NODE_PATH="+env["NODE_PATH"])
	if probe.Run() != nil {
		return nil, nil, errAbsent{"no express and axios for node: -install, or -node-modules"}
	}
	return []string{node, script}, env, nil
}

// npmInstall fetches the packages, with their versions, that package.json names.
func npmInstall(ctx context.Context, dir string) error {
	if _, err := writePeer(dir, "package.json"); err != nil {
		return err
	}
	npm := exec.CommandContext(ctx, "npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", dir)
	if output, err := npm.CombinedOutput(); err != nil {
		return errors.Join(errAbsent{"npm install failed"}, fmt.Errorf("%w: %.500s", err, output))
	}
	return nil
}

// writePeer writes one of the peers' files to dir.
func writePeer(dir, name string) (string, error) {
	text, err := peers.ReadFile("peers/" + name)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	return path, os.WriteFile(path, text, 0o600)
}
