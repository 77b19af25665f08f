# The settings. Those without a description here are described and checked by
# modules/google or modules/aws, which also have the defaults: null means the default.

variable "aws_account_id" {
  type = string
}

variable "grantee" {
  type = any
}

variable "project_id" {
  type = string
}

variable "proxy_name" {
  description = <<-EOT
    Name of the skill proxies, their roles and their logs, before a hyphen and the region. A second skill in
    the same AWS account needs another name; see modules/skill-proxy.
  EOT
  type        = string
  default     = "gatepost-skill-proxy"
  nullable    = false
}

variable "regions" {
  description = <<-EOT
    The stacks, by Alexa region: NA, EU or FE. A skill needs one for each region in which it is published.
      location            Google Cloud region of the stack's functions, near the region's event gateway
      firestore_location  location of the customers' tokens: a region or a multi-region such as eur3. It can never
                          be changed, so it does not follow location.
      own_lambda_role     name of the role of the maker's existing Lambda for this region. The stack trusts that role,
                          and no skill proxy is created.
  EOT
  type = map(object({
    location           = string
    firestore_location = string
    own_lambda_role    = optional(string)
  }))
  nullable = false
}

variable "skill_id" {
  type = string
}

variable "alarm_topic_arns" {
  type    = map(string)
  default = null
}

variable "alert_channels" {
  type    = list(string)
  default = null
}

variable "budget" {
  type    = any
  default = null
}

variable "canary" {
  type    = any
  default = null
}

variable "device_events" {
  type    = string
  default = null
}

variable "directive" {
  type    = any
  default = null
}

variable "event_checks" {
  type    = string
  default = null
}

variable "exclude_accepted" {
  type    = number
  default = null
}

variable "keyset_alert" {
  type    = bool
  default = null
}

variable "log_retention_days" {
  type    = number
  default = null
}

variable "lwa_max_rate" {
  type    = number
  default = null
}

variable "max_event_age" {
  type    = string
  default = null
}

variable "proxy_package" {
  type    = string
  default = null
}

variable "refresh_idle_after" {
  type    = string
  default = null
}

variable "refresh_schedule" {
  type    = string
  default = null
}

variable "refresh_shards" {
  type    = number
  default = null
}

variable "scaling" {
  type    = any
  default = null
}

variable "skill" {
  type    = string
  default = null
}

variable "slo" {
  type    = bool
  default = null
}

variable "source_package" {
  type    = string
  default = null
}

# What some organisations require: options.tf of the modules.

variable "backup_retention_weeks" {
  type    = number
  default = null
}

variable "build_rights" {
  type    = string
  default = null
}

variable "grant_events_subscribers" {
  type    = list(string)
  default = null
}

variable "kms_keys" {
  type    = any
  default = null
}

variable "labels" {
  type    = map(string)
  default = null
}

variable "permissions_boundary" {
  type    = string
  default = null
}

variable "publishers" {
  type    = list(string)
  default = null
}

variable "role_path" {
  type    = string
  default = null
}

variable "tags" {
  type    = map(string)
  default = null
}

variable "version_destroy_ttl" {
  type    = string
  default = null
}
