# One stack per Alexa region. The shared resources only carry messages. A
# customer's tokens never leave the region that they were granted in, and an
# outage of one region does not affect the others.
module "stack" {
  source   = "../stack"
  for_each = var.regions

  firestore_location = each.value.firestore_location
  location           = each.value.location
  project_id         = local.project
  region             = each.key
  skill              = var.skill

  backup_retention_weeks = var.backup_retention_weeks
  kms_keys               = { database = lookup(var.kms_keys.databases, each.key, null), topics = var.kms_keys.topics }
  labels                 = var.labels
  repository = try(
    "projects/${var.project_id}/locations/${each.value.location}/repositories/${google_artifact_registry_repository.functions[each.key].repository_id}",
    null,
  )

  build_account = google_service_account.build.name
  package       = { bucket = google_storage_bucket.source.name, object = google_storage_bucket_object.functions.name }
  scaling       = var.scaling

  events  = { max_age = var.max_event_age, checks = var.event_checks }
  grantee = var.grantee
  refresh = {
    schedule   = var.refresh_schedule
    shards     = var.refresh_shards
    idle_after = var.refresh_idle_after
    max_rate   = var.lwa_max_rate
  }

  lambda       = "principal://iam.googleapis.com/${local.identity_pool}/subject/${local.assumed_roles[each.key]}"
  pubsub_agent = local.pubsub_agent

  secrets = {
    lwa     = google_secret_manager_secret.gatepost["gatepost-lwa-credentials"].secret_id
    keyset  = google_secret_manager_secret.gatepost["gatepost-token-keyset-${lower(each.key)}"].secret_id
    grantee = local.introspection ? google_secret_manager_secret.gatepost["gatepost-grantee-credentials"].secret_id : null
  }
  topics = {
    device_events        = local.device_events_topic[each.key]
    grant_events         = google_pubsub_topic.grant_events.name
    dead_letters         = google_pubsub_topic.dead_letters["dead-letters"].name
    refresh_dead_letters = google_pubsub_topic.dead_letters["refresh-dead-letters"].name
  }

  # The first build must not begin before its account has its roles.
  depends_on = [google_project_iam_member.build, google_artifact_registry_repository_iam_member.build]
}
