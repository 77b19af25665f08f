package doctor

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/logging"
)

// subscription compares a subscription that pushes to a function.
func (e *exam) subscription(ctx context.Context, suffix, function, deadLetters string, pairs ...string) {
	name := e.name(suffix)
	subscription, ok := e.read(ctx, "pubsub", "v1/projects/"+e.project+"/subscriptions/"+name, nil)
	address, known := e.uri(ctx, function)
	if !ok || !known {
		return
	}
	topics := "projects/" + e.project + "/topics/"
	e.want(name, subscription, append(pairs, "state", "ACTIVE", "detached", "", "expirationPolicy.ttl", "", "ackDeadlineSeconds", "60",
		"pushConfig.pushEndpoint", address, "pushConfig.oidcToken.audience", address,
		"pushConfig.oidcToken.serviceAccountEmail", e.email("push-"+strings.ToLower(function)),
		"retryPolicy.minimumBackoff", "5s", "retryPolicy.maximumBackoff", "60s",
		"deadLetterPolicy.deadLetterTopic", topics+deadLetters)...)
	if e.Settings != "" || suffix == "refresh" { // or the topic of a stack's own is not known
		topic := map[bool]string{true: name, false: string(e.stack.DeviceEvents())}[suffix == "refresh"]
		e.want(name, subscription, "topic", topics+topic)
	}
	e.ok("%s pushes to %s", name, function)
}

func checkDeviceEvents(ctx context.Context, e *exam) {
	e.subscription(ctx, "device-events", "SendEvent", "dead-letters", "filter", string(e.stack.Filter()), "enableMessageOrdering", "true",
		"messageRetentionDuration", "604800s", "deadLetterPolicy.maxDeliveryAttempts", "100")
}

func checkShards(ctx context.Context, e *exam) {
	e.subscription(ctx, "refresh", "RefreshShard", "refresh-dead-letters", "filter", "", "messageRetentionDuration", "600s",
		"deadLetterPolicy.maxDeliveryAttempts", "10")
}

func checkDeadLetters(ctx context.Context, e *exam) {
	project := "projects/" + e.project
	for subscription, topic := range map[string]string{e.name("device-events"): "dead-letters", e.name("refresh"): "refresh-dead-letters"} {
		e.granted(ctx, "pubsub", project+"/subscriptions/"+subscription, "roles/pubsub.subscriber", e.pubsubAgent())
		e.granted(ctx, "pubsub", project+"/topics/"+topic, "roles/pubsub.publisher", e.pubsubAgent())
		if keeps, ok := e.read(ctx, "pubsub", "v1/"+project+"/subscriptions/"+topic, nil); ok {
			e.want(topic, keeps, "topic", project+"/topics/"+topic, "messageRetentionDuration", "604800s", "expirationPolicy.ttl", "")
		}
		if n, ok := e.newest(ctx, topic, "num_undelivered_messages"); ok && n > 0 {
			e.warn("%d wait in %s", n, topic)
		}
	}
	e.ok("none")
}

// newest returns the newest value of a metric of a subscription, 0 if there is none.
func (e *exam) newest(ctx context.Context, subscription, metric string) (int64, bool) {
	values, err := e.google.Newest(ctx, e.project, metric, strconv.Quote(subscription), e.env.Now())
	return values[subscription], e.got("monitoring", "v3/projects/"+e.project+"/timeSeries", err)
}

func checkBacklog(ctx context.Context, e *exam) {
	seconds, ok := e.newest(ctx, e.name("device-events"), "oldest_unacked_message_age")
	expires, err := time.ParseDuration(string(e.settings.MaxEventAge))
	switch oldest := time.Duration(seconds) * time.Second; {
	case !ok || err != nil: // the settings have been checked
	case oldest > expires:
		e.fail("the oldest event waits for %v: reports expire after %v", oldest, expires)
	case oldest > expires/2:
		e.warn("the oldest event waits for %v", oldest)
	case oldest > 0:
		e.ok("the oldest event waits for %v", oldest)
	default:
		e.ok("nothing waits")
	}
}

// database returns the path of the stack's database.
func (e *exam) database() string {
	return "v1/projects/" + e.project + "/databases/" + string(e.stack.Database())
}

func checkDatabase(ctx context.Context, e *exam) {
	database, ok := e.read(ctx, "firestore", e.database(), nil)
	if !ok {
		return
	}
	e.want(string(e.stack.Database()), database, "type", "FIRESTORE_NATIVE")
	if e.Settings != "" {
		e.want(string(e.stack.Database()), database, "locationId", string(e.stack.FirestoreLocation))
	}
	if at(database, "deleteProtectionState") != "DELETE_PROTECTION_ENABLED" {
		e.warn("it is not protected against deletion")
	}
	if at(database, "pointInTimeRecoveryEnablement") != "POINT_IN_TIME_RECOVERY_ENABLED" {
		e.warn("it has no point-in-time recovery")
	}
	e.ok("%s in %s", string(e.stack.Database()), at(database, "locationId"))
}

func checkIndex(ctx context.Context, e *exam) {
	list, ok := e.read(ctx, "firestore", e.database()+"/collectionGroups/customers/indexes", nil)
	if !ok {
		return
	}
	for _, index := range items(list, "indexes") {
		first, second := at(index, "fields.0.fieldPath"), at(index, "fields.1.fieldPath")
		if first == "bucket" && second == "refreshDue" && at(index, "fields.1.order") == "ASCENDING" {
			e.want("the index", index, "state", "READY", "queryScope", "COLLECTION")
			e.ok("bucket and refreshDue of customers")
			return
		}
	}
	e.fail("there is no index on bucket and refreshDue of customers, so no sweep can read what is due")
}

func checkFields(ctx context.Context, e *exam) {
	field := func(collection, name string) (object, bool) {
		return e.read(ctx, "firestore", e.database()+"/collectionGroups/"+collection+"/fields/"+name, nil)
	}
	for _, collection := range []string{"deliveries", "accounts"} {
		if expires, ok := field(collection, "expireAt"); ok {
			e.want(collection+".expireAt", expires, "ttlConfig.state", "ACTIVE")
		}
	}
	for _, collection := range []string{"customers", "deliveries", "accounts"} {
		all, ok := field(collection, "*")
		if ok && (at(all, "indexConfig.usesAncestorConfig") == "true" || at(all, "indexConfig.indexes.0") != "") {
			e.warn("every field of %s is indexed, which limits it to 500 writes a second", collection)
		}
	}
	if customer, ok := field("accounts", "customer"); ok && at(customer, "indexConfig.indexes.0") == "" {
		e.fail("accounts.customer is not indexed: gatepost grants erase cannot find accounts")
	}
	e.ok("expireAt has a TTL, and no growing field has an index")
}

func checkJob(ctx context.Context, e *exam) {
	name := e.name("refresh")
	job, ok := e.read(ctx, "cloudscheduler", strings.Replace(e.location("jobs", name), "v2/", "v1/", 1), nil)
	address, known := e.uri(ctx, "RefreshTokens")
	if !ok || !known {
		return
	}
	e.want(name, job, "state", "ENABLED", "httpTarget.uri", address, "httpTarget.httpMethod", "POST",
		"httpTarget.oidcToken.audience", address, "httpTarget.oidcToken.serviceAccountEmail", e.email("scheduler"))
	if e.Settings != "" {
		e.want(name, job, "schedule", string(e.settings.RefreshSchedule), "timeZone", "Etc/UTC")
	}
	last, err := time.Parse(time.RFC3339, at(job, "lastAttemptTime"))
	switch code := at(job, "status.code"); {
	case err != nil:
		e.warn("it has not run yet")
	case code != "" && code != "0":
		e.fail("its last run, at %s, failed with code %s %s", last.Format(time.RFC3339), code, at(job, "status.message"))
	case e.env.Now().Sub(last) > recently:
		e.fail("its last run was at %s", last.Format(time.RFC3339))
	}
	e.ok("%s, last run at %s", at(job, "schedule"), last.Format(time.RFC3339))
}

// recently is a time in which there are several sweeps.
const recently = 30 * time.Minute

// swept returns the newest lines of RefreshShard that a filter selects. The check fails if
// there is no line at all. A page has 1000: with many shards the lines of all sweeps
// would be those of the last minutes.
func (e *exam) swept(ctx context.Context, filter string) []object {
	const shards = `jsonPayload.function="RefreshShard"`
	if some, ok := e.log(ctx, shards, recently, 1); ok && len(some) == 0 {
		e.fail("no shard was swept in the last %.0f minutes", recently.Minutes())
		e.todo = "after a first deployment wait for the job; otherwise look at it, and at the log of RefreshTokens"
	}
	lines, _ := e.log(ctx, shards+" AND "+filter, recently, 1000)
	return lines
}

// checkSweep compares how many records were left over in the newer half of the time with
// the older half.
func checkSweep(ctx context.Context, e *exam) {
	newer, older, late := 0, 0, 0
	for _, line := range e.swept(ctx, "(jsonPayload.left>0 OR jsonPayload.late=true)") {
		left, _ := strconv.Atoi(at(line, "jsonPayload.left")) // none if it was late
		if written, _ := time.Parse(time.RFC3339, at(line, "timestamp")); written.After(e.env.Now().Add(-recently / 2)) {
			newer += left
		} else {
			older += left
		}
		if at(line, "jsonPayload.late") == "true" {
			late++
		}
	}
	switch {
	case newer > 0 && newer >= older:
		e.fail("more and more records are left over: %d in the last %v, %d before", newer, recently/2, older)
	case newer > 0:
		e.warn("records are left over, but fewer than before: %d in the last %v, %d before", newer, recently/2, older)
	}
	if late > 0 {
		e.warn("%d shards waited for more than a period", late)
	}
	e.ok("shards were swept in the last %.0f minutes, and nothing is left over", recently.Minutes())
}

// brakeLogged is longer than the hour after which RefreshShard logs again that the brake
// is latched.
const brakeLogged = 70 * time.Minute

// checkRefreshes reads the errors of sweeps. Those that need a person are errors in the
// log too.
func checkRefreshes(ctx context.Context, e *exam) {
	seen := map[string]bool{}
	braked, _ := e.log(ctx, `jsonPayload.function="RefreshShard" AND jsonPayload.error_brake:* AND severity>=ERROR`, brakeLogged, 1)
	if len(braked) > 0 {
		e.fail("brake: %s", at(braked[0], "jsonPayload.error_brake"))
		seen["ERROR"+"brake: "] = true
	}
	for _, line := range e.swept(ctx, "severity>=WARNING") {
		severity := at(line, "severity")
		payload, _ := line["jsonPayload"].(object)
		for _, field := range sorted(payload) {
			cause, isError := strings.CutPrefix(field+": ", logging.Error)
			cause = strings.TrimLeft(cause, "_:")
			switch {
			case !isError || seen[severity+cause]:
				continue
			case severity == "ERROR":
				e.fail("%s%s", cause, at(payload, field))
			default:
				e.warn("%s%s", cause, at(payload, field))
			}
			seen[severity+cause] = true
		}
	}
	e.ok("no error in %v", recently)
}
