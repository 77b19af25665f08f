// Program vet runs the analyzers of go vet and of staticcheck together. Both analyze
// every dependency first, which takes longer than analyzing this module. One program
// does that only once.
//
//	go run ./scripts/internal/vet ./...
package main

import (
	"os"

	"golang.org/x/tools/go/analysis/suite/vet"
	"honnef.co/go/tools/lintcmd"
	"honnef.co/go/tools/simple"
	"honnef.co/go/tools/staticcheck"
	"honnef.co/go/tools/stylecheck"
	"honnef.co/go/tools/unused"
)

func main() {
	command := lintcmd.NewCommand("vet")
	command.ParseFlags(os.Args[1:])
	command.AddBareAnalyzers(vet.Suite...)
	command.AddAnalyzers(simple.Analyzers...)
	command.AddAnalyzers(staticcheck.Analyzers...)
	command.AddAnalyzers(stylecheck.Analyzers...)
	command.AddAnalyzers(unused.Analyzer)
	command.Run()
}
