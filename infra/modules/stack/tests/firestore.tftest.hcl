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

run "database" {
  command = plan

  assert {
    condition     = google_firestore_database.grants.name == "gatepost-eu" && google_firestore_database.grants.location_id == "eur3"
    error_message = "The database must have its region's name and the set location."
  }
  assert {
    condition     = google_firestore_database.grants.delete_protection_state == "DELETE_PROTECTION_ENABLED" && google_firestore_database.grants.deletion_policy == "ABANDON"
    error_message = "Neither an API call nor a destroy may delete the customers' grants."
  }
  assert {
    condition     = google_firestore_database.grants.point_in_time_recovery_enablement == "POINT_IN_TIME_RECOVERY_ENABLED"
    error_message = "The database must have point-in-time recovery."
  }
}

run "indexes" {
  command = plan

  assert {
    condition = alltrue([
      for resource in concat([google_firestore_index.customers_due, google_firestore_field.accounts_customer], values(google_firestore_field.unindexed), values(google_firestore_field.expire)) :
      resource.deletion_policy == "ABANDON"
    ])
    error_message = "The database must keep its indexes, exemptions and expiry when Terraform abandons it."
  }

  assert {
    condition     = google_firestore_index.customers_due.collection == "customers" && google_firestore_index.customers_due.query_scope == "COLLECTION"
    error_message = "The index must be on the collection that the sweep's query reads."
  }
  assert {
    condition     = [for field in google_firestore_index.customers_due.fields : "${field.field_path} ${field.order}"] == ["bucket ASCENDING", "refreshDue ASCENDING", "__name__ ASCENDING"]
    error_message = "The index must fit the sweep's query."
  }
  assert {
    condition = alltrue([
      for field in concat(values(google_firestore_field.unindexed), values(google_firestore_field.expire)) :
      length(field.index_config) == 1 && length(field.index_config[0].indexes) == 0
    ])
    error_message = "A single field without a query must not be indexed."
  }
  assert {
    condition     = toset([for field in google_firestore_field.unindexed : "${field.collection} ${field.field}"]) == toset(["customers *", "deliveries *", "accounts *"])
    error_message = "The exemptions must cover every field of all collections."
  }
  assert {
    condition     = google_firestore_field.accounts_customer.collection == "accounts" && google_firestore_field.accounts_customer.field == "customer"
    error_message = "A customer's accounts need an index, or they cannot be erased."
  }
  assert {
    condition = [
      for index in google_firestore_field.accounts_customer.index_config[0].indexes : "${index.order} ${index.query_scope}"
    ] == ["ASCENDING COLLECTION"]
    error_message = "A customer's accounts need one index, on the collection."
  }
  assert {
    condition = (
      toset([for field in google_firestore_field.expire : "${field.collection} ${field.field}"]) == toset(["deliveries expireAt", "accounts expireAt"]) &&
      alltrue([for field in google_firestore_field.expire : length(field.ttl_config) == 1])
    )
    error_message = "Deliveries and accounts must expire."
  }
}

run "refuses_an_unknown_region" {
  command = plan

  variables {
    region = "eu"
  }
  expect_failures = [var.region]
}
