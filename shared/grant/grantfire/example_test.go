package grantfire_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantfire"
)

// Open a stack's database and look up a customer.
func ExampleOpen() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	store, err := grantfire.Open(ctx, "", "gatepost-eu")
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	record, err := store.Read(ctx, grant.Key{Skill: "default", UserID: "u-1"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(record.Grants), "grants")
}
