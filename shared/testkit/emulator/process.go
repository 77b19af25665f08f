package emulator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/testkit/process"
)

// startTime is how long an emulator may take to answer. It takes two seconds on an
// idle machine.
const startTime = 3 * time.Minute

// flags make Java start fast and use little memory.
var flags = []string{
	"-Duser.language=en", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m",
	"-XX:-UsePerfData", // leaves no file behind when it is killed
}

// launch starts the emulator in a jar and returns when it is ready.
func (p product) launch(java, jar string) (instance, error) {
	address, err := process.ReservePort()
	if err != nil {
		return instance{}, err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return instance{}, err
	}
	started := instance{address: address}
	args := slices.Concat(flags, p.args(jar, host, port))
	if started.process, err = process.Start(os.Environ(), java, args...); err != nil {
		return instance{}, err
	}
	if err := started.waitReady(p.warm); err != nil {
		started.process.Kill()
		return instance{}, fmt.Errorf("%w; output: %.500q", err, started.process.Output())
	}
	return started, nil
}

// waitReady returns when the emulator has answered its first call. It polls,
// because nothing signals that a program listens.
func (i instance) waitReady(warm call) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	front := call{method: http.MethodGet, path: "/"}
	for !front.succeeds(ctx, i.address) || !warm.succeeds(ctx, i.address) {
		select {
		case <-i.process.Ended():
			return errors.New("it ended")
		case <-ctx.Done():
			return fmt.Errorf("no answer for %v", startTime)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// call is an HTTP request.
type call struct{ method, path, body string }

// client calls the loopback interface, without a proxy.
var client = &http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}

func (c call) succeeds(ctx context.Context, address string) bool {
	request, err := http.NewRequestWithContext(ctx, c.method, "http://"+address+c.path, strings.NewReader(c.body))
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}
