# From source to functions: the bucket that the source is uploaded to, and the
# account that Cloud Build builds it with.

resource "google_storage_bucket" "source" {
  project  = local.project
  name     = "${var.project_id}-gatepost-source"
  location = values(var.regions)[0].location
  labels   = var.labels

  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true # scripts/package can write its contents again

  versioning {
    enabled = false
  }

  # A function keeps its build. If the object of the current source is gone, the
  # next apply uploads it again.
  lifecycle_rule {
    condition {
      age = 30
    }
    action {
      type = "Delete"
    }
  }

  # Any location of a stack will do. It stays if another stack becomes the first.
  lifecycle {
    ignore_changes = [location]
  }
}

# The name has the hash of the contents: another source is another object, and only
# then are the functions built again.
resource "google_storage_bucket_object" "functions" {
  bucket = google_storage_bucket.source.name
  name   = "functions-${filemd5(var.source_package)}.zip"
  source = var.source_package
}

# Cloud Build's default account has far more rights than a build needs:
# https://cloud.google.com/functions/docs/securing/build-custom-sa
resource "google_service_account" "build" {
  project      = local.project
  account_id   = "gatepost-build"
  display_name = "Builds Gatepost's functions"
}

# On the project, because Cloud Functions itself creates and names the resources:
# the log, the repository of images, and the bucket that it copies the source to.
# The page above lists these three roles.
resource "google_project_iam_member" "build" {
  for_each = toset(concat(
    ["roles/logging.logWriter", "roles/storage.objectViewer"],
    local.own_repositories ? [] : ["roles/artifactregistry.writer"],
  ))

  project = var.project_id
  role    = each.key
  member  = google_service_account.build.member

  dynamic "condition" {
    for_each = local.own_repositories && each.key == "roles/storage.objectViewer" ? [1] : []
    content {
      title      = "gatepost-build"
      expression = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-${data.google_project.this.number}-\")"
    }
  }
}

# With build_rights resources, each stack's images are in a repository of its own.
# Cloud Run keeps a copy of the image that it runs, so that the policy cannot delete
# that one: https://cloud.google.com/run/docs/deploying#images

locals {
  own_repositories = var.build_rights == "resources"
}

resource "google_artifact_registry_repository" "functions" {
  for_each = local.own_repositories ? var.regions : {}

  project       = local.project
  location      = each.value.location
  repository_id = "gatepost-${lower(each.key)}"
  format        = "DOCKER"
  description   = "Images of Gatepost's functions in ${each.key}."
  labels        = var.labels

  cleanup_policies {
    id     = "old"
    action = "DELETE"
    condition {
      older_than = "2592000s" # 30 days
    }
  }
  cleanup_policies {
    id     = "newest"
    action = "KEEP"
    most_recent_versions {
      keep_count = 5
    }
  }

  lifecycle {
    create_before_destroy = true # the functions are there until they have moved
  }
}

resource "google_artifact_registry_repository_iam_member" "build" {
  for_each = google_artifact_registry_repository.functions

  project    = var.project_id
  location   = each.value.location
  repository = each.value.repository_id
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.build.member
}
