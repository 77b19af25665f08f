# The functions' rights, each only on the database, secrets and topics that the
# table in functions.tf lists.

locals {
  reads = merge([
    for name, function in local.functions : {
      for key in function.secrets : "${name} ${key}" => { function = name, secret = local.secrets[key].name } if contains(keys(local.secrets), key)
    }
  ]...)

  publishes = merge([
    for name, function in local.functions : {
      for key in function.publishes : "${name} ${key}" => { function = name, topic = local.topics[key].name }
    }
  ]...)
}

# Firestore has no policy for a single database, but a binding of the project can
# have a condition on the database:
# https://cloud.google.com/firestore/docs/manage-databases#configure_per-database_access_permissions
resource "google_project_iam_member" "database" {
  for_each = { for name, function in local.functions : name => function if function.database }

  project = var.project_id
  role    = "roles/datastore.user"
  member  = google_service_account.function[each.key].member

  condition {
    title      = local.prefix
    expression = "resource.name == \"projects/${var.project_id}/databases/${google_firestore_database.grants.name}\""
  }
}

resource "google_secret_manager_secret_iam_member" "reads" {
  for_each = local.reads

  project   = var.project_id
  secret_id = each.value.secret
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.function[each.value.function].member
}

resource "google_pubsub_topic_iam_member" "publishes" {
  for_each = local.publishes

  project = var.project_id
  topic   = each.value.topic
  role    = "roles/pubsub.publisher"
  member  = google_service_account.function[each.value.function].member
}
