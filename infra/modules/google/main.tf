# The number is the project's name inside workload identity federation, and in
# the addresses of Google's own service accounts.
data "google_project" "this" {
  project_id = var.project_id
}

# Before the first apply, a person has to enable
# cloudresourcemanager.googleapis.com and serviceusage.googleapis.com.
resource "google_project_service" "api" {
  for_each = toset([
    "artifactregistry.googleapis.com", # keeps what is built
    "cloudbuild.googleapis.com",       # builds the functions
    "cloudfunctions.googleapis.com",
    "cloudresourcemanager.googleapis.com", # project-level bindings
    "cloudscheduler.googleapis.com",       # begins a sweep
    "firestore.googleapis.com",
    "iam.googleapis.com",            # service accounts, workload identity
    "iamcredentials.googleapis.com", # the proxy's ID tokens
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com", # what functions run on
    "secretmanager.googleapis.com",
    "storage.googleapis.com", # the functions' source
    "sts.googleapis.com",     # trusts the proxy's AWS role
  ])

  project            = var.project_id
  service            = each.key
  disable_on_destroy = false # other parts of the project may use it
}

locals {
  # The project, once its APIs are enabled: resources that use this value wait for
  # them.
  project = values(google_project_service.api)[0].project

  # Pub/Sub's own account in this project. It signs the ID tokens of pushes, and
  # moves undeliverable messages to the dead-letter topic.
  # https://cloud.google.com/pubsub/docs/handling-failures#grant_forwarding_permissions
  pubsub_agent = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}
