package main

import (
	"fmt"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant/grantfire"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
)

// Sizes as Firestore charges for them, from
// https://cloud.google.com/firestore/docs/storage-size.
const (
	nameOverhead     = 16
	documentOverhead = 32
	indexOverhead    = 32
	numberSize       = 8 // of a number and of a time
)

// storedBytes is what Firestore keeps of a customer with one grant: the
// document, and its entry in the one index there is, on bucket and refreshDue.
func storedBytes() (float64, error) {
	now := newClock()
	login := &amazon{now: now.now}
	f, err := newFleet(grantmem.New(), login, now, func() float64 { return 0 })
	if err != nil {
		return 0, err
	}
	record, err := f.record(0, login.token(), 0)
	if err != nil {
		return 0, err
	}
	document, err := size(record.Document())
	if err != nil {
		return 0, err
	}
	name := stringSize(grantfire.Customers) + stringSize(record.Key().ID()) + nameOverhead
	return float64(name + document + documentOverhead + name + 2*numberSize + indexOverhead), nil
}

func stringSize(s string) int { return len(s) + 1 }

// size is the size of a value in a document. Lists are not looked into: a
// record that waits for nothing has none.
func size(value any) (int, error) {
	switch v := value.(type) {
	case string:
		return stringSize(v), nil
	case []byte:
		return len(v), nil
	case int64, time.Time:
		return numberSize, nil
	case map[string]any:
		total := 0
		for name, field := range v {
			n, err := size(field)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", name, err)
			}
			total += stringSize(name) + n
		}
		return total, nil
	}
	return 0, fmt.Errorf("the size of a %T is not known", value)
}
