package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// world is the process in which Amazon and the maker's identity provider are,
// as this one sees it.
type world struct {
	amazonSays
	orders *json.Encoder
	heard  *json.Decoder
	stop   func() error
}

// startWorld starts it on the processor of everything but the sender.
func startWorld(ctx context.Context, pins pins) (*world, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	argv := pins.others([]string{program, gatewayName})
	process := exec.CommandContext(ctx, argv[0], argv[1:]...)
	process.Stderr = os.Stderr
	life, err := process.StdinPipe()
	if err != nil {
		return nil, err
	}
	said, err := process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := process.Start(); err != nil {
		return nil, fmt.Errorf("start the gateway: %w", err)
	}
	w := &world{
		orders: json.NewEncoder(life), heard: json.NewDecoder(bufio.NewReader(said)),
		stop: func() error { return errors.Join(life.Close(), process.Wait()) },
	}
	if err := w.heard.Decode(&w.amazonSays); err != nil {
		return nil, errors.Join(fmt.Errorf("start the gateway: %w", err), w.stop())
	}
	return w, nil
}

// order changes how the gateway answers, and returns what came since the last
// order.
func (w *world) order(o gatewayOrder) (gatewayTally, error) {
	var tally gatewayTally
	err := w.orders.Encode(o)
	if err == nil {
		err = w.heard.Decode(&tally)
	}
	if err != nil {
		err = fmt.Errorf("ask the gateway: %w", err)
	}
	return tally, err
}

// generate has a load generator do a job, in a process of its own on the
// processor of everything but the sender.
func generate(ctx context.Context, pins pins, j job) (load, error) {
	program, err := os.Executable()
	if err != nil {
		return load{}, err
	}
	argv := pins.others([]string{program, pushName})
	process := exec.CommandContext(ctx, argv[0], argv[1:]...)
	process.Stderr = os.Stderr
	task, err := process.StdinPipe()
	if err != nil {
		return load{}, err
	}
	said, err := process.StdoutPipe()
	if err != nil {
		return load{}, err
	}
	if err := process.Start(); err != nil {
		return load{}, fmt.Errorf("start the load generator: %w", err)
	}
	var done load
	err = json.NewEncoder(task).Encode(j)
	if err == nil {
		err = json.NewDecoder(said).Decode(&done)
	}
	_, _ = io.Copy(io.Discard, said) // to its end, as Wait asks for
	if err := errors.Join(err, process.Wait()); err != nil {
		return load{}, fmt.Errorf("the load generator: %w", err)
	}
	return done, nil
}
