package main

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// bare readies the program by itself: nothing that supervises it counts.
func bare(b *testing.B, env map[string]string) (*exec.Cmd, *runtimeAPI) {
	b.Helper()
	path, err := program()
	if err != nil {
		b.Fatal(err)
	}
	api := newRuntimeAPI()
	b.Cleanup(api.Close)
	cmd := exec.Command(path)
	cmd.Env = []string{"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(api.URL, "http://")}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd, api
}

// end ends the program and returns the processor time that it used.
func end(b *testing.B, cmd *exec.Cmd) time.Duration {
	b.Helper()
	if err := cmd.Process.Signal(os.Kill); err != nil {
		b.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}

// BenchmarkColdStart measures from the start of the process to the first
// request for an invocation.
func BenchmarkColdStart(b *testing.B) {
	env := newWorld(b).env(nil)
	var took []time.Duration
	for b.Loop() {
		cmd, api := bare(b, env)
		started := time.Now()
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		<-api.first
		took = append(took, time.Since(started))
		end(b, cmd)
	}
	slices.Sort(took)
	for name, at := range map[string]int{"p50": len(took) / 2, "p95": len(took) * 95 / 100} {
		b.ReportMetric(float64(took[at].Microseconds())/1000, "ms-"+name)
	}
}

// BenchmarkInvocation measures the program's processor time for an invocation
// with a warm connection, start-up taken off.
func BenchmarkInvocation(b *testing.B) {
	for _, bench := range []struct{ name, message string }{{"directive", turnOn}, {"AcceptGrant", accept}} {
		b.Run(bench.name, func(b *testing.B) {
			env := newWorld(b).env(nil)
			spent := func(n int) time.Duration {
				cmd, api := bare(b, env)
				if err := cmd.Start(); err != nil {
					b.Fatal(err)
				}
				for range n {
					ended, err := api.begin(context.Background(), []byte(bench.message), time.Now().Add(time.Minute))
					if err != nil {
						b.Fatal(err)
					}
					if r := <-ended; string(r.body) != done {
						b.Fatalf("answer %s", r.body)
					}
				}
				return end(b, cmd)
			}
			start := spent(1)
			b.ResetTimer()
			all := spent(b.N + 1)
			b.ReportMetric(float64((all-start).Microseconds())/float64(b.N), "cpu-µs/op")
		})
	}
}
