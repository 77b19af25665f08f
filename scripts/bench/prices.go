package main

import "time"

// Prices in US dollars for us-central1, without free tiers and discounts, seen
// on 22 November 2026. Where Google's own page loads its table later, the price
// is from a page that quotes it, which is named; check before you rely on one.
const (
	// https://cloud.google.com/firestore/pricing, Standard edition, one region; as
	// quoted by https://airbyte.com/data-engineering-resources/google-firestore-pricing
	// (reads and writes). nam5 and eur3, of several regions, take twice as much.
	readPrice    = 0.03 / 100_000
	writePrice   = 0.09 / 100_000
	storagePrice = 0.15 // GiB and month
	// Point-in-time recovery is on. That it is charged like as much storage again
	// as the data is an assumption.
	storedTwice = 2

	// https://cloud.google.com/run/pricing, tier 1, request-based billing, as
	// quoted by https://cloudwebschool.com/tools/cloud-run-cost-calculator/: an
	// instance is paid for as long as it has a request, whether it computes or
	// waits, rounded up to a tenth of a second.
	vcpuPrice    = 0.000024 // second
	memoryPrice  = 0.0000025
	requestPrice = 0.40 / 1e6
	rounding     = 100 * time.Millisecond

	// https://cloud.google.com/pubsub/pricing: publishing and delivery, each of at
	// least 1000 bytes.
	messagePrice = 40.0 / (1 << 40)
	messageBytes = 1000

	// https://cloud.google.com/scheduler/pricing: a job and month.
	jobPrice = 0.10

	// https://cloud.google.com/vpc/network-pricing, to the internet, as quoted by the
	// calculator above.
	egressPrice = 0.12 // GiB

	// https://cloud.google.com/stackdriver/pricing, Cloud Logging: stored once, for
	// 30 days. The request log of Cloud Run is charged like any other.
	logPrice = 0.50 // GiB

	// https://cloud.google.com/compute/vm-instance-pricing: an e2-small in
	// us-central1, for an hour. Not verified: that page loads its table later, and
	// no page that quotes it could be believed.
	machinePrice = 0.016751
	// https://cloud.google.com/compute/docs/general-purpose-machines#sharedcore: of
	// its two vCPUs an e2-small may use a quarter each all the time.
	machineCPU = 0.5
)

// Limits that others set.
const (
	// https://cloud.google.com/firestore/docs/best-practices: writes a second to a
	// collection whose index grows with time, and how traffic to a database may
	// grow: from 500 operations a second by half in five minutes. Behind an
	// indexed bucket there is such a place for each bucket.
	indexWrites = 500
	rampStart   = 500
	rampFactor  = 1.5
	rampTime    = 5 * time.Minute
	// Writes a second to one database, as older editions of
	// https://cloud.google.com/firestore/quotas had it; quoted by
	// https://qiita.com/Masataka-n/items/ed7e76bde05b9d83e41c. Take it as the place
	// from which on to ask Google.
	databaseWrites = 10_000
	// Cloud Scheduler runs a job once a minute at most:
	// https://cloud.google.com/scheduler/docs.
	shortestPeriod = time.Minute
)

const (
	month = 730 * time.Hour
	gib   = 1 << 30
)
