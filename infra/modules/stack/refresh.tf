# The sweep: Cloud Scheduler calls RefreshTokens, which publishes one message
# for each shard; Pub/Sub pushes the shards to RefreshShard.

resource "google_pubsub_topic" "refresh" {
  project      = var.project_id
  name         = "${local.prefix}-refresh"
  kms_key_name = var.kms_keys.topics
  labels       = var.labels
}

resource "google_pubsub_subscription" "refresh" {
  project = var.project_id
  name    = "${local.prefix}-refresh"
  topic   = google_pubsub_topic.refresh.name
  labels  = var.labels

  ack_deadline_seconds = 60 # for a push: how long an answer may take

  # The minimum. RefreshShard drops a shard that is older than one period: the next
  # sweep has published its successor.
  message_retention_duration = "600s"

  push_config {
    push_endpoint = local.uris.refreshshard
    oidc_token {
      service_account_email = google_service_account.caller["push-refreshshard"].email
      audience              = local.uris.refreshshard
    }
  }

  expiration_policy {
    ttl = "" # never
  }
  retry_policy {
    minimum_backoff = "5s"
    maximum_backoff = "60s"
  }
  dead_letter_policy {
    dead_letter_topic     = "projects/${var.project_id}/topics/${var.topics.refresh_dead_letters}"
    max_delivery_attempts = 10 # 600 seconds have no time for more
  }

  depends_on = [google_cloud_run_v2_service_iam_member.caller, google_service_account_iam_member.push]
}

resource "google_pubsub_subscription_iam_member" "forwards_refresh" {
  project      = var.project_id
  subscription = google_pubsub_subscription.refresh.name
  role         = "roles/pubsub.subscriber"
  member       = var.pubsub_agent
}

resource "google_cloud_scheduler_job" "refresh" {
  project     = var.project_id
  region      = var.location
  name        = "${local.prefix}-refresh"
  description = "Begins a sweep, which refreshes the access tokens that will soon expire."

  schedule         = var.refresh.schedule
  time_zone        = "Etc/UTC"
  attempt_deadline = "60s"

  retry_config {
    retry_count          = 3
    min_backoff_duration = "5s"
    max_backoff_duration = "30s"
  }

  http_target {
    http_method = "POST"
    uri         = local.uris.refreshtokens

    oidc_token {
      service_account_email = google_service_account.caller["scheduler"].email
      audience              = local.uris.refreshtokens
    }
  }

  depends_on = [google_cloud_run_v2_service_iam_member.caller]
}
