package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"cloud.google.com/go/firestore"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantfire"
)

// emulatorHost is where Google's client libraries look for an emulator too.
const emulatorHost = "FIRESTORE_EMULATOR_HOST"

// operations are what a sweep asked of Firestore, as it is charged.
type operations struct{ refreshes, queries, reads, writes int64 }

func firestoreCommand(ctx context.Context, flags *flag.FlagSet, args []string, stdout io.Writer) error {
	grants := flags.Int("grants", 500, "`number` of customers, one grant each")
	shards := flags.Int("shards", 16, "`number` of shards")
	customers := flags.Int("customers", 100, "`number` of customers who get events")
	repeats := flags.Int("repeats", 9, "`number` of events that each of them gets after the first")
	program := flags.String("program", "", programUsage)
	err := parse(flags, args, func() error {
		if min(*grants, *shards, *customers, *repeats) < 1 || *shards > grant.Buckets {
			return fmt.Errorf("want at least 1 grant, customer and repeat, and 1 to %d shards", grant.Buckets)
		}
		return nil
	})
	if err != nil {
		return err
	}
	host := os.Getenv(emulatorHost)
	if host == "" {
		return errors.New(emulatorHost + " does not say where the Firestore emulator is")
	}
	o, err := count(ctx, host, *grants, *shards)
	if err != nil {
		return err
	}
	if err := o.write(stdout); err != nil {
		return err
	}
	events, err := countEvents(ctx, *program, host, *customers, *repeats)
	if err != nil {
		return err
	}
	return events.write(stdout)
}

func (o operations) write(out io.Writer) error {
	_, err := fmt.Fprintf(out, "%d refreshes: %d queries, %d reads, %d writes\n%.2f reads and %.2f writes for each refresh\n",
		o.refreshes, o.queries, o.reads, o.writes,
		float64(o.reads)/float64(o.refreshes), float64(o.writes)/float64(o.refreshes))
	return err
}

// count sweeps grants in the emulator, in a project that nobody else uses, and
// counts what that takes. The emulator checks no credentials.
func count(ctx context.Context, host string, grants, shards int) (o operations, err error) {
	counted := new(meter)
	conn, err := grpc.NewClient("passthrough:///"+host, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithPerRPCCredentials(owner{}), grpc.WithUnaryInterceptor(counted.unary), grpc.WithStreamInterceptor(counted.stream))
	if err != nil {
		return o, fmt.Errorf("connect to the emulator: %w", err)
	}
	client, err := firestore.NewClient(ctx, "bench-"+strings.ToLower(rand.Text()[:20]), option.WithGRPCConn(conn))
	if err != nil {
		return o, errors.Join(err, conn.Close())
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	now := newClock()
	login := &amazon{now: now.now}
	f, err := newFleet(grantfire.New(client), login, now, func() float64 { return 0.5 })
	if err != nil {
		return o, err
	}
	for i := range grants {
		if err := f.link(ctx, i, login.token(), 0.5); err != nil {
			return o, err
		}
	}
	f.forward(lifetime)
	f.inTurn = true // what is counted is the same, and the emulator is slow
	counted.reset()
	if err := f.sweepAll(ctx, shards, grants); err != nil {
		return o, err
	}
	return operations{int64(grants), counted.queries.Load(), counted.reads.Load(), counted.writes.Load()}, nil
}

// owner is who may do everything in an emulator.
type owner struct{}

// GetRequestMetadata implements [credentials.PerRPCCredentials].
func (owner) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer owner"}, nil
}

// RequireTransportSecurity implements [credentials.PerRPCCredentials].
func (owner) RequireTransportSecurity() bool { return false }
