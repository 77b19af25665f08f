# Planned by the real provider, which checks more than a mock: the values that
# Google accepts, and the addresses of accounts. It has no credentials and makes no
# calls.

provider "google" {
  project      = "maker-prod"
  access_token = "fake"
}

# The addresses of the functions are known only after the apply.

override_resource {
  target          = google_cloudfunctions2_function.function["refreshshard"]
  override_during = plan
  values          = { service_config = { uri = "https://refreshshard-fake-ew.a.run.app" } }
}

override_resource {
  target          = google_cloudfunctions2_function.function["refreshtokens"]
  override_during = plan
  values          = { state = "ACTIVE", service_config = { uri = "https://refreshtokens-fake-ew.a.run.app" } }
}

override_resource {
  target          = google_cloudfunctions2_function.function["sendevent"]
  override_during = plan
  values          = { state = "ACTIVE", service_config = { uri = "https://sendevent-fake-ew.a.run.app" } }
}

variables {
  build_account      = "projects/maker-prod/serviceAccounts/gatepost-build@maker-prod.iam.gserviceaccount.com"
  events             = { max_age = "5m", checks = "strict" }
  firestore_location = "eur3"
  grantee            = { resolver = "jwt:https://id.maker.example" }
  lambda             = "principal://iam.googleapis.com/projects/123456/locations/global/workloadIdentityPools/gatepost/subject/arn:aws:sts::123456789012:assumed-role/gatepost-skill-proxy-eu"
  location           = "europe-west1"
  package            = { bucket = "maker-prod-gatepost-source", object = "functions-fake.zip" }
  project_id         = "maker-prod"
  pubsub_agent       = "serviceAccount:service-123456@gcp-sa-pubsub.iam.gserviceaccount.com"
  refresh            = { schedule = "*/5 * * * *", shards = 16, idle_after = "off" }
  region             = "EU"
  secrets            = { lwa = "gatepost-lwa-credentials", keyset = "gatepost-token-keyset-eu" }
  skill              = "default"
  topics = {
    device_events        = "device-events"
    grant_events         = "grant-events"
    dead_letters         = "dead-letters"
    refresh_dead_letters = "refresh-dead-letters"
  }
}

run "device_events" {
  command = plan

  assert {
    condition     = google_pubsub_subscription.device_events.name == "gatepost-eu-device-events" && google_pubsub_subscription.device_events.topic == "device-events"
    error_message = "The subscription must be the stack's, on the given topic."
  }
  assert {
    condition     = google_pubsub_subscription.device_events.filter == "NOT attributes.region = \"FE\" AND NOT attributes.region = \"NA\""
    error_message = "The filter must exclude the other regions, and nothing else."
  }
  assert {
    condition     = google_pubsub_subscription.device_events.enable_message_ordering
    error_message = "Events of one endpoint must stay in order."
  }
  assert {
    condition = (
      google_pubsub_subscription.device_events.push_config[0].push_endpoint == "https://sendevent-fake-ew.a.run.app" &&
      google_pubsub_subscription.device_events.push_config[0].oidc_token[0].audience == "https://sendevent-fake-ew.a.run.app" &&
      google_pubsub_subscription.device_events.push_config[0].oidc_token[0].service_account_email == "gatepost-eu-push-sendevent@maker-prod.iam.gserviceaccount.com"
    )
    error_message = "Events must be pushed to SendEvent, with an ID token for it of the account that may call it."
  }
  assert {
    condition     = google_pubsub_subscription.device_events.ack_deadline_seconds == 60 && google_pubsub_subscription.device_events.message_retention_duration == "604800s"
    error_message = "An answer may take a minute, and an event must be kept for 7 days."
  }
  assert {
    condition     = google_pubsub_subscription.device_events.expiration_policy[0].ttl == ""
    error_message = "The subscription must never expire."
  }
  assert {
    condition     = google_pubsub_subscription.device_events.retry_policy[0].minimum_backoff == "5s" && google_pubsub_subscription.device_events.retry_policy[0].maximum_backoff == "60s"
    error_message = "A failed delivery must be retried after 5 to 60 seconds."
  }
  assert {
    condition = (
      google_pubsub_subscription.device_events.dead_letter_policy[0].dead_letter_topic == "projects/maker-prod/topics/dead-letters" &&
      google_pubsub_subscription.device_events.dead_letter_policy[0].max_delivery_attempts == 100
    )
    error_message = "After 100 attempts an event must become a dead letter."
  }
  assert {
    condition = join(" ", [
      google_pubsub_subscription_iam_member.forwards_device_events.subscription, google_pubsub_subscription_iam_member.forwards_device_events.role,
      google_pubsub_subscription_iam_member.forwards_device_events.member,
    ]) == "gatepost-eu-device-events roles/pubsub.subscriber serviceAccount:service-123456@gcp-sa-pubsub.iam.gserviceaccount.com"
    error_message = "Pub/Sub must be able to move an event to the dead letters."
  }
}

run "filter_of_na" {
  command = plan

  variables {
    region = "NA"
  }
  assert {
    condition     = google_pubsub_subscription.device_events.filter == "NOT attributes.region = \"EU\" AND NOT attributes.region = \"FE\""
    error_message = "The filter of NA must exclude EU and FE."
  }
}

run "filter_of_fe" {
  command = plan

  variables {
    region = "FE"
  }
  assert {
    condition     = google_pubsub_subscription.device_events.filter == "NOT attributes.region = \"EU\" AND NOT attributes.region = \"NA\""
    error_message = "The filter of FE must exclude EU and NA."
  }
}

run "regional_topic" {
  command = plan

  variables {
    topics = {
      device_events        = "device-events-eu"
      grant_events         = "grant-events"
      dead_letters         = "dead-letters"
      refresh_dead_letters = "refresh-dead-letters"
    }
  }
  assert {
    condition     = google_pubsub_subscription.device_events.topic == "device-events-eu" && google_pubsub_subscription.device_events.filter != ""
    error_message = "The stack must read its own topic, and still exclude other regions' events."
  }
}

run "refresh" {
  command = plan

  assert {
    condition     = google_pubsub_topic.refresh.name == "gatepost-eu-refresh" && google_pubsub_subscription.refresh.name == "gatepost-eu-refresh" && google_pubsub_subscription.refresh.topic == "gatepost-eu-refresh"
    error_message = "The sweep must have its own topic, and a subscription."
  }
  assert {
    condition = (
      google_pubsub_subscription.refresh.push_config[0].push_endpoint == "https://refreshshard-fake-ew.a.run.app" &&
      google_pubsub_subscription.refresh.push_config[0].oidc_token[0].audience == "https://refreshshard-fake-ew.a.run.app" &&
      google_pubsub_subscription.refresh.push_config[0].oidc_token[0].service_account_email == "gatepost-eu-push-refreshshard@maker-prod.iam.gserviceaccount.com"
    )
    error_message = "Shards must be pushed to RefreshShard, with an ID token for it of the account that may call it."
  }
  assert {
    condition     = google_pubsub_subscription.refresh.ack_deadline_seconds == 60 && google_pubsub_subscription.refresh.message_retention_duration == "600s"
    error_message = "A shard may take a minute, and must not be kept for longer than 10."
  }
  assert {
    condition     = google_pubsub_subscription.refresh.expiration_policy[0].ttl == ""
    error_message = "The subscription must never expire."
  }
  assert {
    condition     = google_pubsub_subscription.refresh.retry_policy[0].minimum_backoff == "5s" && google_pubsub_subscription.refresh.retry_policy[0].maximum_backoff == "60s"
    error_message = "A failed delivery must be retried after 5 to 60 seconds."
  }
  assert {
    condition = (
      google_pubsub_subscription.refresh.dead_letter_policy[0].dead_letter_topic == "projects/maker-prod/topics/refresh-dead-letters" &&
      google_pubsub_subscription.refresh.dead_letter_policy[0].max_delivery_attempts == 10
    )
    error_message = "Shards must have their own dead letters, after as many attempts as fit into 10 minutes."
  }
  assert {
    condition = join(" ", [
      google_pubsub_subscription_iam_member.forwards_refresh.subscription, google_pubsub_subscription_iam_member.forwards_refresh.role,
      google_pubsub_subscription_iam_member.forwards_refresh.member,
    ]) == "gatepost-eu-refresh roles/pubsub.subscriber serviceAccount:service-123456@gcp-sa-pubsub.iam.gserviceaccount.com"
    error_message = "Pub/Sub must be able to move a shard to its dead letters."
  }
}

run "schedule" {
  command = plan

  assert {
    condition = join(", ", [
      google_cloud_scheduler_job.refresh.name, google_cloud_scheduler_job.refresh.region,
      google_cloud_scheduler_job.refresh.schedule, google_cloud_scheduler_job.refresh.time_zone, google_cloud_scheduler_job.refresh.attempt_deadline,
    ]) == "gatepost-eu-refresh, europe-west1, */5 * * * *, Etc/UTC, 60s"
    error_message = "A sweep must have the set schedule, in UTC."
  }
  assert {
    condition = [for retry in google_cloud_scheduler_job.refresh.retry_config :
    "${retry.retry_count} ${retry.min_backoff_duration} ${retry.max_backoff_duration}"] == ["3 5s 30s"]
    error_message = "A failed call must be retried three times, soon."
  }
  assert {
    condition = (
      google_cloud_scheduler_job.refresh.http_target[0].http_method == "POST" &&
      google_cloud_scheduler_job.refresh.http_target[0].body == null &&
      google_cloud_scheduler_job.refresh.http_target[0].uri == "https://refreshtokens-fake-ew.a.run.app" &&
      google_cloud_scheduler_job.refresh.http_target[0].oidc_token[0].audience == "https://refreshtokens-fake-ew.a.run.app" &&
      google_cloud_scheduler_job.refresh.http_target[0].oidc_token[0].service_account_email == "gatepost-eu-scheduler@maker-prod.iam.gserviceaccount.com"
    )
    error_message = "RefreshTokens must get an empty POST, with an ID token for it of the account that may call it."
  }
}
