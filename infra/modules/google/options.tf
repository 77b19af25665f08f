# The variables of what some organisations require. By default each is off, and
# scripts/deploy has none of them. infra/ORGANISATION.md says what each needs.

variable "backup_retention_weeks" {
  description = "Weeks to keep the backup of each stack's database that is made every Sunday, in addition to seven days of point-in-time recovery: 1 to 14, or 0 for no backups."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.backup_retention_weeks >= 0 && var.backup_retention_weeks <= 14 && floor(var.backup_retention_weeks) == var.backup_retention_weeks
    error_message = "The backup_retention_weeks are 0 to 14, a whole number: Firestore keeps no backup for longer."
  }
}

variable "build_rights" {
  description = <<-EOT
    What the account that builds the functions is allowed to do.
      project    write to every repository and read every bucket of the project, as Google's guide has it
      resources  write to a repository for each stack, which keeps the five newest images and those of the last 30 days, and
                 read the buckets in which Cloud Functions keeps sources
  EOT
  type        = string
  default     = "project"
  nullable    = false

  validation {
    condition     = contains(["project", "resources"], var.build_rights)
    error_message = "The build_rights are project or resources."
  }
}

variable "grant_events_subscribers" {
  description = "IAM members that may attach subscriptions to the topic grant-events, even from other projects. The events name customers."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for member in var.grant_events_subscribers : can(regex("^((user|group|serviceAccount):[^:\\s]+@|principal(Set)?://iam\\.googleapis\\.com/)\\S+$", member))])
    error_message = "A member is user:EMAIL, group:EMAIL, serviceAccount:EMAIL, principal://iam.googleapis.com/… or principalSet://iam.googleapis.com/…, never everyone or a whole domain."
  }
}

variable "kms_keys" {
  description = <<-EOT
    Cloud KMS keys, as projects/P/locations/L/keyRings/R/cryptoKeys/K, instead of Google's own. The service agents of
    Firestore, Secret Manager and Pub/Sub need roles/cloudkms.cryptoKeyEncrypterDecrypter on them beforehand.
    The keys of databases and secrets take effect only at creation: a database can never change between its key and
    Google's, and an existing secret is changed with gcloud (SECURITY.md).
      databases  by Alexa region, a key in the firestore_location; in us for nam5, in europe for eur3
      keysets    by Alexa region, a key in the stack's location
      secrets    for the secrets that all stacks share, a key in the location global
      topics     for all topics
  EOT
  type = object({
    databases = optional(map(string), {})
    keysets   = optional(map(string), {})
    secrets   = optional(string)
    topics    = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition = alltrue([
      for key in compact(concat(values(var.kms_keys.databases), values(var.kms_keys.keysets), [var.kms_keys.secrets, var.kms_keys.topics])) :
      can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", key))
    ])
    error_message = "A key of kms_keys is projects/P/locations/L/keyRings/R/cryptoKeys/K, without a version."
  }

  validation {
    condition     = length(setsubtract(concat(keys(var.kms_keys.databases), keys(var.kms_keys.keysets)), ["NA", "EU", "FE"])) == 0
    error_message = "The databases and keysets of kms_keys are by Alexa region: NA, EU and FE."
  }

  validation {
    # https://cloud.google.com/secret-manager/docs/cmek
    condition     = var.kms_keys.secrets == null || can(regex("/locations/global/", var.kms_keys.secrets))
    error_message = "The secrets of kms_keys are replicated automatically: their key is in the location global."
  }
}

variable "labels" {
  description = "Labels of everything that can be labelled: functions, topics, subscriptions, secrets, the bucket, repositories, alert policies, objectives. A change redeploys the functions."
  type        = map(string)
  default     = null

  validation {
    # https://cloud.google.com/resource-manager/docs/labels-overview#requirements
    condition = alltrue([
      for name, value in coalesce(var.labels, {}) : can(regex("^[a-z][a-z0-9_-]{0,62}$", name)) && can(regex("^[a-z0-9_-]{0,63}$", value))
    ])
    error_message = "A label's name and value have at most 63 lower-case letters, digits, underscores and hyphens, and the name starts with a letter."
  }
}

variable "publishers" {
  description = "IAM members that may publish device events, to the topics of all regions. To admit them one by one instead, use the output allow_publishing."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for member in var.publishers : can(regex("^((user|group|serviceAccount):[^:\\s]+@|principal(Set)?://iam\\.googleapis\\.com/)\\S+$", member))])
    error_message = "A member is user:EMAIL, group:EMAIL, serviceAccount:EMAIL, principal://iam.googleapis.com/… or principalSet://iam.googleapis.com/…, never everyone or a whole domain."
  }
}

variable "version_destroy_ttl" {
  description = "Time during which the destruction of a secret version can be undone, in seconds, such as 2592000s for 30 days. Until then the version is only disabled. By default it is destroyed at once."
  type        = string
  default     = null

  validation {
    # https://cloud.google.com/secret-manager/docs/delay-destruction-of-secret-versions
    condition = var.version_destroy_ttl == null || (
      can(regex("^[0-9]{5,8}s$", var.version_destroy_ttl)) && try(tonumber(trimsuffix(var.version_destroy_ttl, "s")), 0) >= 86400 &&
      try(tonumber(trimsuffix(var.version_destroy_ttl, "s")), 0) <= 86400000
    )
    error_message = "The version_destroy_ttl is 86400s to 86400000s: a day to 1000 days."
  }
}
