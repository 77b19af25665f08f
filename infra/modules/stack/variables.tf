variable "firestore_location" {
  description = "Region or multi-region of the Firestore database. It can never be changed."
  type        = string
  nullable    = false
}

variable "project_id" {
  description = "Id of the Google Cloud project."
  type        = string
  nullable    = false
}

variable "region" {
  description = "The Alexa region that this stack serves: NA, EU or FE."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["NA", "EU", "FE"], var.region)
    error_message = "The region is NA, EU or FE."
  }
}

variable "skill" {
  description = "Name of the skill whose grants this stack holds."
  type        = string
  nullable    = false
}
