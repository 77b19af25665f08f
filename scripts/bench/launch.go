package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/transport"
)

// launched is a program that was started without anything between it and us.
type launched struct {
	process *exec.Cmd
	client  *http.Client
	url     string
	began   time.Time
	errors  strings.Builder
}

func launch(ctx context.Context, program string, env map[string]string) (*launched, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return nil, err
	}
	p := &launched{client: transport.NewClient(1), url: "http://" + address + "/"}
	p.process = exec.CommandContext(ctx, program)
	p.process.Stderr = &p.errors
	_, port, _ := net.SplitHostPort(address)
	p.process.Env = []string{"PORT=" + port}
	for name, value := range env {
		p.process.Env = append(p.process.Env, name+"="+value)
	}
	p.began = time.Now()
	return p, p.process.Start()
}

// kill ends the program, whose status says nothing then.
func (p *launched) kill() {
	p.client.CloseIdleConnections()
	_ = p.process.Process.Kill()
	_ = p.process.Wait()
}

// ask makes a request, again and again while nobody listens. It must be
// answered with 200.
func (p *launched) ask(ctx context.Context, body string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, strings.NewReader(body))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := p.client.Do(request)
		if err != nil && ctx.Err() == nil {
			time.Sleep(50 * time.Microsecond)
			continue
		}
		if err != nil {
			return fmt.Errorf("no answer: %w", err)
		}
		answer, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err == nil && response.StatusCode != http.StatusOK || strings.Contains(string(answer), "ErrorResponse") {
			err = fmt.Errorf("answered %d", response.StatusCode)
		}
		return err
	}
}
