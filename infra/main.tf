provider "google" {
  project = var.project_id
}

resource "google_project_service" "firestore" {
  project            = var.project_id
  service            = "firestore.googleapis.com"
  disable_on_destroy = false # other parts of the project may use it
}

# One stack per Alexa region. Nothing is shared between them: a customer's
# tokens never leave the region that was granted them, and trouble in one
# region stays there.
module "stack" {
  source   = "./modules/stack"
  for_each = var.regions

  firestore_location = coalesce(each.value.firestore_location, each.value.location)
  project_id         = google_project_service.firestore.project # only once the API is on
  region             = each.key
  skill              = var.skill
}
