# The way of a device event into the stack.

locals {
  # An event for another region is left to that region's stack, and so is never
  # here an event that no stack is for. Excluding the others rather than asking
  # for this one keeps an event without the attribute, or with a misspelt one:
  # a filter drops without a trace. It is the same whatever stacks there are, so
  # that one more changes nothing here.
  # https://cloud.google.com/pubsub/docs/subscription-message-filter
  filter = join(" AND ", formatlist("NOT attributes.region = \"%s\"", sort(setsubtract(["NA", "EU", "FE"], [var.region]))))
}

resource "google_pubsub_subscription" "device_events" {
  project = var.project_id
  name    = "${local.prefix}-device-events"
  topic   = var.topics.device_events

  filter                  = local.filter
  enable_message_ordering = true # of events with the same ordering key

  ack_deadline_seconds       = 60        # for a push: how long an answer may take
  message_retention_duration = "604800s" # 7 days

  push_config {
    push_endpoint = local.uris.sendevent
    oidc_token {
      service_account_email = google_service_account.caller["push-sendevent"].email
      audience              = local.uris.sendevent
    }
  }

  expiration_policy {
    ttl = "" # never: a stack that nobody sends events for a month must not go deaf
  }
  retry_policy {
    minimum_backoff = "5s"
    maximum_backoff = "60s"
  }
  dead_letter_policy {
    dead_letter_topic     = "projects/${var.project_id}/topics/${var.topics.dead_letters}"
    max_delivery_attempts = 100
  }

  # Name, topic, filter and ordering cannot be changed: Terraform would make
  # another subscription in place of this one, and every event that waits in it,
  # or is published between the two, would be lost. infra/README.md, Later, says
  # how it is done.
  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_cloud_run_v2_service_iam_member.caller, google_service_account_iam_member.push]
}

# The right to take a message out that goes to the dead letters; that to put it
# there is given where the topic is.
resource "google_pubsub_subscription_iam_member" "forwards_device_events" {
  project      = var.project_id
  subscription = google_pubsub_subscription.device_events.name
  role         = "roles/pubsub.subscriber"
  member       = var.pubsub_agent
}
