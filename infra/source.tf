# From source to functions: the bucket that the source is uploaded to, and the
# account that Cloud Build builds it with.

resource "google_storage_bucket" "source" {
  project  = local.project
  name     = "${var.project_id}-gatepost-source"
  location = values(var.regions)[0].location

  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true # it holds nothing that scripts/package cannot write again

  versioning {
    enabled = false
  }

  # A function keeps what was built from it. Should the object of the source in
  # use be gone, the next apply uploads it again.
  lifecycle_rule {
    condition {
      age = 30
    }
    action {
      type = "Delete"
    }
  }

  # Any of the stacks' locations will do, and it stays when another comes first.
  lifecycle {
    ignore_changes = [location]
  }
}

# Its name says what is in it: another source is another object, and only then
# are the functions built again.
resource "google_storage_bucket_object" "functions" {
  bucket = google_storage_bucket.source.name
  name   = "functions-${filemd5(var.source_package)}.zip"
  source = var.source_package
}

# Cloud Build's default account may do far more than build:
# https://cloud.google.com/functions/docs/securing/build-custom-sa
resource "google_service_account" "build" {
  project      = local.project
  account_id   = "gatepost-build"
  display_name = "Builds Gatepost's functions"
}

# On the project, since Cloud Functions itself makes and names what they are
# for: the log, the repository of images, and the bucket that it copies the
# source to. They are the three of the page above.
resource "google_project_iam_member" "build" {
  for_each = toset([
    "roles/artifactregistry.writer",
    "roles/logging.logWriter",
    "roles/storage.objectViewer",
  ])

  project = var.project_id
  role    = each.key
  member  = google_service_account.build.member
}
