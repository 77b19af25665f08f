# The stack's subscription for device events.

locals {
  # The filter excludes the events of the other regions. It does not select this
  # region's, because then an event without the attribute, or with a misspelt one,
  # would be dropped without a trace. It is the same for every set of stacks, so that
  # a new one changes nothing here.
  # https://cloud.google.com/pubsub/docs/subscription-message-filter
  filter = join(" AND ", formatlist("NOT attributes.region = \"%s\"", sort(setsubtract(["NA", "EU", "FE"], [var.region]))))
}

resource "google_pubsub_subscription" "device_events" {
  project = var.project_id
  name    = "${local.prefix}-device-events"
  topic   = var.topics.device_events
  labels  = var.labels

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
    ttl = "" # never: a stack must still get events after a month without any
  }
  retry_policy {
    minimum_backoff = "5s"
    maximum_backoff = "60s"
  }
  dead_letter_policy {
    dead_letter_topic     = "projects/${var.project_id}/topics/${var.topics.dead_letters}"
    max_delivery_attempts = 100
  }

  # Name, topic, filter and ordering cannot be changed: Terraform would replace the
  # subscription, and every event that waits in it, or is published in between, would
  # be lost. infra/README.md, Later, explains how to change them.
  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_cloud_run_v2_service_iam_member.caller, google_service_account_iam_member.push]
}

# The right to acknowledge a message that is moved to the dead-letter topic. The
# right to publish there is granted beside the topic.
resource "google_pubsub_subscription_iam_member" "forwards_device_events" {
  project      = var.project_id
  subscription = google_pubsub_subscription.device_events.name
  role         = "roles/pubsub.subscriber"
  member       = var.pubsub_agent
}
