variable "backup_retention_weeks" {
  description = "Weeks to keep a weekly backup of the database, or 0 for no backups."
  type        = number
  default     = 0
  nullable    = false
}

variable "build_account" {
  description = "Full name of the service account that builds the functions."
  type        = string
  nullable    = false
}

variable "events" {
  description = <<-EOT
    SendEvent's settings for device events.
      max_age  older ones are not sent
      checks   strict, advise or off
  EOT
  type = object({
    max_age = string
    checks  = string
  })
  nullable = false
}

variable "firestore_location" {
  description = "Region or multi-region of the Firestore database. It can never be changed."
  type        = string
  nullable    = false
}

variable "grantee" {
  description = "How AcceptGrant and SkillEvent identify a customer."
  type = object({
    resolver = string
    claim    = optional(string)
    audience = optional(string)
    jwks     = optional(string)
  })
  nullable = false
}

variable "kms_keys" {
  description = "Cloud KMS keys for the database and for the topic of shards, null for Google's own."
  type = object({
    database = optional(string)
    topics   = optional(string)
  })
  default  = {}
  nullable = false
}

variable "labels" {
  description = "Labels of the functions, the topic and the subscriptions."
  type        = map(string)
  default     = null
}

variable "lambda" {
  description = "The principal that gets ID tokens of the stack's calling account: the role of its Lambda in the workload identity pool."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^principal://iam\\.googleapis\\.com/projects/[0-9]+/locations/global/workloadIdentityPools/[a-z0-9-]+/subject/.", var.lambda))
    error_message = "The lambda is one principal:// of a workload identity pool, never a set of them."
  }
}

variable "location" {
  description = "Google Cloud region of everything in the stack except the database."
  type        = string
  nullable    = false
}

variable "package" {
  description = "The object with the functions' source."
  type        = object({ bucket = string, object = string })
  nullable    = false
}

variable "project_id" {
  description = "Id of the Google Cloud project."
  type        = string
  nullable    = false
}

variable "pubsub_agent" {
  description = "Pub/Sub's own service account in the project, as an IAM member."
  type        = string
  nullable    = false
}

variable "refresh" {
  description = <<-EOT
    The sweep.
      schedule    a cron expression in UTC: */N * * * * with N from 1 to 5, or * * * * *
      shards      number of parallel parts
      idle_after  time without an event after which a customer is left out, or off
      max_rate    maximum refreshes a second of all parts together, or 0 for no limit
  EOT
  type = object({
    schedule   = string
    shards     = number
    idle_after = string
    max_rate   = optional(number, 0)
  })
  nullable = false
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

variable "repository" {
  description = "The repository for the functions' images, as projects/P/locations/L/repositories/R, or null for that of Cloud Functions."
  type        = string
  default     = null
}

variable "scaling" {
  description = "Resources that differ from the defaults, by function."
  type = map(object({
    min_instances = optional(number)
    max_instances = optional(number)
    memory        = optional(string)
    cpu           = optional(string)
  }))
  default  = {}
  nullable = false
}

variable "secrets" {
  description = <<-EOT
    Names of the functions' secrets.
      lwa      the skill's client credentials at Login with Amazon
      keyset   keyset that seals this stack's tokens
      grantee  client credentials for introspection, otherwise null
  EOT
  type = object({
    lwa     = string
    keyset  = string
    grantee = optional(string)
  })
  nullable = false
}

variable "skill" {
  description = "Name of the skill of this stack's grants."
  type        = string
  nullable    = false
}

variable "topics" {
  description = "Names of the topics shared with the maker's cloud and with the other stacks."
  type = object({
    device_events        = string
    grant_events         = string
    dead_letters         = string
    refresh_dead_letters = string
  })
  nullable = false
}
