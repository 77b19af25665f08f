# The stack's database: one document per customer with all grants (collection
# customers), one per event that must not be delivered twice (collection
# deliveries), and one per Amazon account of a skill event (collection accounts).

resource "google_firestore_database" "grants" {
  project     = var.project_id
  name        = "gatepost-${lower(var.region)}"
  location_id = var.firestore_location

  type             = "FIRESTORE_NATIVE"
  database_edition = "STANDARD"

  # Without its refresh tokens every customer must link the skill again, so the
  # database outlives a destroy, and has seven days of point-in-time recovery.
  delete_protection_state           = "DELETE_PROTECTION_ENABLED"
  deletion_policy                   = "ABANDON"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"

  dynamic "cmek_config" {
    for_each = compact([var.kms_keys.database])
    content {
      kms_key_name = cmek_config.value
    }
  }

  # Another location would be another database, without any tokens.
  lifecycle {
    prevent_destroy = true
  }
}

# Point-in-time recovery ends with the database; a backup does not.
resource "google_firestore_backup_schedule" "weekly" {
  count = var.backup_retention_weeks > 0 ? 1 : 0

  project   = var.project_id
  database  = google_firestore_database.grants.name
  retention = "${var.backup_retention_weeks * 604800}s"

  weekly_recurrence {
    day = "SUNDAY"
  }
}

# The following resources stay with the database when Terraform abandons it.
# Otherwise a stack that comes back would find every field indexed and no expiry,
# and no sweep could run until the index was built again.

# The sweep's query: the records of some buckets that are due for a refresh, the
# earliest first, page by page. refreshDue grows with time, and an index that
# starts with a growing value takes only 500 writes a second
# (https://cloud.google.com/firestore/docs/best-practices#hotspots); behind the
# bucket the writes are spread over 256 places.
resource "google_firestore_index" "customers_due" {
  project    = var.project_id
  database   = google_firestore_database.grants.name
  collection = "customers"

  query_scope     = "COLLECTION"
  deletion_policy = "ABANDON"

  fields {
    field_path = "bucket"
    order      = "ASCENDING"
  }
  fields {
    field_path = "refreshDue"
    order      = "ASCENDING"
  }
  fields {
    field_path = "__name__"
    order      = "ASCENDING"
  }
}

# By default Firestore indexes every field, in both directions. Few other fields are
# queried, so those indexes would only cost writes and storage, and the limit above
# would apply to each of the many timestamps. The empty index_config turns them off
# for "*", every field of the collection without a resource of its own.
resource "google_firestore_field" "unindexed" {
  for_each = toset(["customers", "deliveries", "accounts"])

  project    = var.project_id
  database   = google_firestore_database.grants.name
  collection = each.key
  field      = "*"

  deletion_policy = "ABANDON"

  index_config {}
}

# The only field that is queried by itself: erase finds the Amazon accounts of a
# customer.
resource "google_firestore_field" "accounts_customer" {
  project    = var.project_id
  database   = google_firestore_database.grants.name
  collection = "accounts"
  field      = "customer"

  deletion_policy = "ABANDON"

  index_config {
    indexes {
      order       = "ASCENDING"
      query_scope = "COLLECTION"
    }
  }
}

# Firestore deletes a delivery or an unlinked account after its expireAt, usually
# within a day. The code does not rely on that, and compares the time itself.
resource "google_firestore_field" "expire" {
  for_each = toset(["deliveries", "accounts"])

  project    = var.project_id
  database   = google_firestore_database.grants.name
  collection = each.key
  field      = "expireAt"

  deletion_policy = "ABANDON"

  index_config {}
  ttl_config {}
}
