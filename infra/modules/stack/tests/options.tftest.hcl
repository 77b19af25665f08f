# What some organisations require, each switched on and off.

mock_provider "google" {}

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

run "everything_off" {
  command = plan

  assert {
    condition = (
      length(google_firestore_backup_schedule.weekly) == 0 && length(google_firestore_database.grants.cmek_config) == 0 &&
      google_pubsub_topic.refresh.kms_key_name == null &&
      alltrue([for function in google_cloudfunctions2_function.function : function.labels == null])
    )
    error_message = "There must be no backups, keys and labels that nobody has set."
  }
}

run "everything_on" {
  command = plan

  variables {
    backup_retention_weeks = 14
    kms_keys = {
      database = "projects/maker-kms/locations/europe/keyRings/gatepost/cryptoKeys/database"
      topics   = "projects/maker-kms/locations/europe/keyRings/gatepost/cryptoKeys/topics"
    }
    labels     = { team = "smart-home" }
    repository = "projects/maker-prod/locations/europe-west1/repositories/gatepost-eu"
  }

  assert {
    condition = [for schedule in google_firestore_backup_schedule.weekly : "${schedule.database} ${schedule.retention} ${schedule.weekly_recurrence[0].day}"] == [
      "gatepost-eu 8467200s SUNDAY",
    ]
    error_message = "There must be a weekly backup, kept for 14 weeks."
  }
  assert {
    condition     = google_firestore_database.grants.cmek_config[0].kms_key_name == var.kms_keys.database && google_pubsub_topic.refresh.kms_key_name == var.kms_keys.topics
    error_message = "The database and the topic must have their keys."
  }
  assert {
    condition = toset(concat(
      [for function in google_cloudfunctions2_function.function : function.labels],
      [google_pubsub_topic.refresh.labels, google_pubsub_subscription.refresh.labels, google_pubsub_subscription.device_events.labels],
    )) == toset([tomap({ team = "smart-home" })])
    error_message = "Each resource that can have labels must have these."
  }
  assert {
    condition = toset([for function in google_cloudfunctions2_function.function : function.build_config[0].docker_repository]) == toset([
      "projects/maker-prod/locations/europe-west1/repositories/gatepost-eu",
    ])
    error_message = "The images must be in the stack's repository."
  }
}
