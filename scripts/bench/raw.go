package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// raw is the least that a refresh over HTTP can cost: a form that is ready is
// posted with the product's pooled client, and the answer is read and dropped.
// What the sweep uses beyond that is its own.
type raw struct {
	client *http.Client
	url    string
	form   string
}

// post makes n requests, so many at a time.
func (r raw) post(ctx context.Context, n, at int) error {
	var left atomic.Int64
	left.Store(int64(n))
	workers, ctx := errgroup.WithContext(ctx)
	for range at {
		workers.Go(func() error {
			for left.Add(-1) >= 0 {
				if err := r.one(ctx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return workers.Wait()
}

func (r raw) one(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, strings.NewReader(r.form))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", formType)
	response, err := r.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the simulator answered %d", response.StatusCode)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}
