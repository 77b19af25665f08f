# What the maker's cloud and the stacks meet at, and what all stacks share.

locals {
  # The topics for device events: one for all stacks, where each takes what is
  # meant for it; or one for each, so that no event is stored elsewhere before
  # it is a dead letter.
  device_events_topics = (
    var.device_events == "shared"
    ? { device-events = null }
    : { for region, stack in var.regions : "device-events-${lower(region)}" => stack.location }
  )

  # Which of them a stack reads.
  device_events_topic = {
    for region in keys(var.regions) : region => google_pubsub_topic.device_events[
      var.device_events == "shared" ? "device-events" : "device-events-${lower(region)}"
    ].name
  }
}

resource "google_pubsub_topic" "device_events" {
  for_each = local.device_events_topics

  project = local.project
  name    = each.key

  dynamic "message_storage_policy" {
    for_each = each.value == null ? [] : [each.value]
    content {
      allowed_persistence_regions = [message_storage_policy.value]
    }
  }
}

# A subscription sees what is published after it was made. Of a topic that keeps
# its messages a later one can seek back, so that a maker who connects the cloud
# a day after the first customers linked learns of them all:
# https://cloud.google.com/pubsub/docs/replay-overview
resource "google_pubsub_topic" "grant_events" {
  project                    = local.project
  name                       = "grant-events"
  message_retention_duration = "604800s" # 7 days
}

resource "google_pubsub_topic" "dead_letters" {
  for_each = toset(["dead-letters", "refresh-dead-letters"])

  project = local.project
  name    = each.key
}

# Where dead letters wait for somebody: a topic without a subscription would
# lose them. It has no dead letters of its own, in which a letter that was read
# too often would disappear; scripts/replay refuses one that has.
resource "google_pubsub_subscription" "dead_letters" {
  for_each = google_pubsub_topic.dead_letters

  project = local.project
  name    = each.key
  topic   = each.value.name

  ack_deadline_seconds       = 60
  message_retention_duration = "604800s" # 7 days

  expiration_policy {
    ttl = "" # never, however long there is nothing to read
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
