# The topics between the maker's cloud and the stacks, and those that all stacks
# share.

locals {
  # The topics for device events: one for all stacks, each of which filters its own
  # events; or one for each stack, so that no event is stored in another location
  # unless it becomes a dead letter.
  device_events_topics = (
    var.device_events == "shared"
    ? { device-events = null }
    : { for region, stack in var.regions : "device-events-${lower(region)}" => stack.location }
  )

  # The topic that a stack reads.
  device_events_topic = {
    for region in keys(var.regions) : region => google_pubsub_topic.device_events[
      var.device_events == "shared" ? "device-events" : "device-events-${lower(region)}"
    ].name
  }
}

resource "google_pubsub_topic" "device_events" {
  for_each = local.device_events_topics

  project      = local.project
  name         = each.key
  kms_key_name = var.kms_keys.topics
  labels       = var.labels

  dynamic "message_storage_policy" {
    for_each = each.value == null ? [] : [each.value]
    content {
      allowed_persistence_regions = [message_storage_policy.value]
    }
  }
}

# A subscription gets only messages that are published after its creation. On a
# topic with retention a later subscription can seek back, so that a maker that
# connects its cloud a day after the first links gets all of them:
# https://cloud.google.com/pubsub/docs/replay-overview
resource "google_pubsub_topic" "grant_events" {
  project                    = local.project
  name                       = "grant-events"
  kms_key_name               = var.kms_keys.topics
  labels                     = var.labels
  message_retention_duration = "604800s" # 7 days
}

resource "google_pubsub_topic" "dead_letters" {
  for_each = toset(["dead-letters", "refresh-dead-letters"])

  project      = local.project
  name         = each.key
  kms_key_name = var.kms_keys.topics
  labels       = var.labels
}

# The subscription that keeps dead letters: a topic without one would lose them.
# It has no dead-letter policy of its own, which would move away a letter
# that was pulled too often; gatepost replay refuses a subscription with one.
resource "google_pubsub_subscription" "dead_letters" {
  for_each = google_pubsub_topic.dead_letters

  project = local.project
  name    = each.key
  topic   = each.value.name
  labels  = var.labels

  ack_deadline_seconds       = 60
  message_retention_duration = "604800s" # 7 days

  expiration_policy {
    ttl = "" # never, even if it is not read for long
  }
  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }
}

resource "google_pubsub_topic_iam_member" "forwards_dead_letters" {
  for_each = google_pubsub_topic.dead_letters

  project = var.project_id
  topic   = each.value.name
  role    = "roles/pubsub.publisher"
  member  = local.pubsub_agent
}

# The maker's cloud: the accounts that publish device events, and those that follow
# grant events with subscriptions of their own.

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = {
    for pair in setproduct(keys(local.device_events_topics), var.publishers) : join(" ", pair) => { topic = pair[0], member = pair[1] }
  }

  project = var.project_id
  topic   = google_pubsub_topic.device_events[each.value.topic].name
  role    = "roles/pubsub.publisher"
  member  = each.value.member
}

resource "google_pubsub_topic_iam_member" "subscriber" {
  for_each = toset(var.grant_events_subscribers)

  project = var.project_id
  topic   = google_pubsub_topic.grant_events.name
  role    = "roles/pubsub.subscriber"
  member  = each.key
}
