package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatepostdev/gatepost/shared/breaker"
)

func Example() {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	b := breaker.New(breaker.Config{
		Now: func() time.Time { return now },
		OnChange: func(c breaker.Change) {
			if c.From == breaker.Closed {
				fmt.Println("the service fails for at least half of the grants")
			}
		},
	})

	send := func(grant string) error { return errors.New("503 Service Unavailable") }
	deliver := func(ctx context.Context, grant string) error {
		attempt, err := b.Begin(ctx, grant, breaker.Options{Wait: 2 * time.Second})
		if err != nil {
			return err
		}
		err = send(grant)
		b.End(attempt, err == nil)
		return err
	}

	for i := range 10 {
		_ = deliver(context.Background(), fmt.Sprintf("grant %d", i))
	}
	fmt.Println(deliver(context.Background(), "grant 10"))
	now = now.Add(5 * time.Second)
	fmt.Println(b.State())
	// Output:
	// the service fails for at least half of the grants
	// breaker: open
	// half-open
}
