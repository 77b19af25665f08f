# modules/skill-proxy checks the values.

variable "alarm_topic_arns" {
  description = "ARNs of SNS topics that the alarms of the skill proxies notify, by Alexa region: each in its AWS region. Without one there are no alarms."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.alarm_topic_arns), ["NA", "EU", "FE"])) == 0
    error_message = "The keys of alarm_topic_arns are NA, EU and FE."
  }
}

variable "directive" {
  description = <<-EOT
    The maker's own handler of directives, for the skill proxies. Without it they refuse every directive but AcceptGrant.
      url       its address
      auth      google if it needs a Google ID token, otherwise none
      audience  of the ID token; by default derived from the URL
  EOT
  type = object({
    url      = string
    auth     = optional(string, "none")
    audience = optional(string, "")
  })
  default = null
}

variable "lambdas" {
  description = "Environment of each skill proxy for calling the functions, by Alexa region: the output lambdas of modules/google."
  type = map(object({
    ACCEPT_GRANT_URL         = string
    SKILL_EVENT_URL          = string
    GOOGLE_WORKLOAD_PROVIDER = string
    GOOGLE_SERVICE_ACCOUNT   = string
  }))
  nullable = false

  validation {
    condition     = length(setsubtract(keys(var.lambdas), ["NA", "EU", "FE"])) == 0
    error_message = "The keys of lambdas are NA, EU and FE."
  }
}

variable "log_retention_days" {
  description = "Days to keep the skill proxies' logs: a period that CloudWatch Logs supports, see modules/skill-proxy."
  type        = number
  default     = 30
  nullable    = false
}

variable "name" {
  description = <<-EOT
    Name of the skill proxies, their roles and their logs, before a hyphen and the region. A second skill in
    the same AWS account needs another name; see modules/skill-proxy.
  EOT
  type        = string
  default     = "gatepost-skill-proxy"
  nullable    = false
}

variable "package" {
  description = "Path of the zip from scripts/build-proxy."
  type        = string
  default     = "skillproxy.zip"
  nullable    = false
}

variable "skill_id" {
  description = "Id of the Alexa skill, from the developer console. No other skill can invoke the Lambdas."
  type        = string
  nullable    = false
}
