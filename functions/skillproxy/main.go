package main

import (
	stdlog "log"
	"math/rand/v2"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/gatepostdev/gatepost/shared/telemetry"
)

// main ends the process with status 1 and a message that names every fault if
// the configuration is wrong; Lambda shows it as a failed start.
func main() {
	stdlog.SetOutput(telemetry.WithoutWire(os.Stderr))
	log := telemetry.New(os.Stdout)
	s, err := read(os.LookupEnv)
	if err != nil {
		log.Error(err.Error())
		os.Exit(1)
	}
	lambda.Start(newProxy(s, log, time.Now, rand.Float64))
}
