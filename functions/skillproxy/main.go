package main

import (
	stdlog "log"
	"math/rand/v2"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/gatepostdev/gatepost/shared/config"
	"github.com/gatepostdev/gatepost/shared/logging"
)

// main ends the process with status 1 and a message that names every fault if
// the configuration is wrong; Lambda shows it as a failed start.
func main() {
	stdlog.SetOutput(logging.WithoutWire(os.Stderr))
	log := logging.New(os.Stdout)
	env := config.Environ()
	source := config.NewSource(env)
	s, err := read(source, env)
	if err != nil {
		log.Error(err.Error())
		os.Exit(1)
	}
	for _, warning := range source.Misspelled() {
		log.Warn(warning)
	}
	lambda.Start(newProxy(s, log, time.Now, rand.Float64))
}
