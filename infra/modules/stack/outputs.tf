output "environment" {
  description = "The part of the environment of the stack's functions that this module decides."
  value = {
    ALEXA_REGIONS        = var.region
    FIRESTORE_DATABASE   = google_firestore_database.grants.name
    GOOGLE_CLOUD_PROJECT = var.project_id
    GRANT_STORE          = "firestore"
    SKILL                = var.skill
  }
}
