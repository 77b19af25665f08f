mock_provider "google" {}

variables {
  firestore_location = "eur3"
  project_id         = "maker-prod"
  region             = "EU"
  skill              = "default"
}

run "database" {
  command = plan

  assert {
    condition     = google_firestore_database.grants.name == "gatepost-eu" && google_firestore_database.grants.location_id == "eur3"
    error_message = "The database must be named for its region and lie where it was asked to."
  }
  assert {
    condition     = google_firestore_database.grants.delete_protection_state == "DELETE_PROTECTION_ENABLED" && google_firestore_database.grants.deletion_policy == "ABANDON"
    error_message = "Neither an API call nor a destroy may delete the customers' grants."
  }
  assert {
    condition     = google_firestore_database.grants.point_in_time_recovery_enablement == "POINT_IN_TIME_RECOVERY_ENABLED"
    error_message = "It must be possible to read the database's past."
  }
}

run "indexes" {
  command = plan

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
    error_message = "No single field may be indexed that nothing queries."
  }
  assert {
    condition     = toset([for field in google_firestore_field.unindexed : "${field.collection} ${field.field}"]) == toset(["customers *", "deliveries *", "accounts *"])
    error_message = "The exemptions must cover every field of all collections."
  }
  assert {
    condition     = google_firestore_field.accounts_customer.collection == "accounts" && google_firestore_field.accounts_customer.field == "customer"
    error_message = "The accounts of a customer must be found, or they cannot be erased."
  }
  assert {
    condition = [
      for index in google_firestore_field.accounts_customer.index_config[0].indexes : "${index.order} ${index.query_scope}"
    ] == ["ASCENDING COLLECTION"]
    error_message = "The accounts of a customer are found by one index, within the collection."
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
