variable "accept_grant" {
  description = <<-EOT
    The stack's function AcceptGrant.
      url       its address
      audience  of its ID token; by default derived from the URL
  EOT
  type = object({
    url      = string
    audience = optional(string, "")
  })
  nullable = false

  validation {
    condition     = can(regex("^https://[^/?#@\\s]+(/[^?#\\s]*)?$", var.accept_grant.url))
    error_message = "The url of accept_grant is an https URL without query: the grant passes through it."
  }
}

variable "alarm_topic_arn" {
  description = "ARN of an SNS topic in the Lambda's region that its alarms notify. Without one there are no alarms."
  type        = string
  default     = null

  validation {
    condition     = var.alarm_topic_arn == null || can(regex("^arn:aws:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$", var.alarm_topic_arn))
    error_message = "The alarm_topic_arn is arn:aws:sns:REGION:ACCOUNT:NAME."
  }
}

variable "directive" {
  description = <<-EOT
    The maker's own handler of directives. Without it the proxy refuses every directive but AcceptGrant.
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

  validation {
    condition     = var.directive == null || can(regex("^https://[^/?#@\\s]+(/[^?#\\s]*)?$", var.directive.url))
    error_message = "The url of directive is an https URL without query: a directive has the customer's token in it."
  }

  validation {
    condition     = var.directive == null || can(regex("^(none|google)$", var.directive.auth))
    error_message = "The auth of directive is none or google."
  }
}

variable "google" {
  description = <<-EOT
    Source of the proxy's ID tokens. It needs no key: its role proves its identity.
      workload_provider  the workload identity provider that trusts this role, as //iam.googleapis.com/projects/…
      service_account    email address of the account that may call the functions
  EOT
  type = object({
    workload_provider = string
    service_account   = string
  })
  nullable = false

  validation {
    condition = can(regex(
      "^//iam\\.googleapis\\.com/projects/[0-9]+/locations/global/workloadIdentityPools/[a-z0-9-]{4,32}/providers/[a-z0-9-]{4,32}$",
      var.google.workload_provider,
    ))
    error_message = "The workload_provider is //iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER."
  }

  validation {
    condition     = can(regex("^[^@/?#\\s]+@[^@/?#\\s]+$", var.google.service_account))
    error_message = "The service_account is an email address."
  }
}

variable "log_retention_days" {
  description = "Days to keep the proxy's log, which contains no message contents."
  type        = number
  default     = 30
  nullable    = false

  validation {
    # https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html.
    # The provider's 0, which never expires, is left out on purpose.
    condition = contains(
      [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653],
      var.log_retention_days,
    )
    error_message = "The log_retention_days is a period that CloudWatch Logs supports: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 and some longer ones."
  }
}

variable "memory" {
  description = "Memory of the Lambda in MB. Its share of a CPU grows with it."
  type        = number
  default     = 128
  nullable    = false

  validation {
    condition     = var.memory >= 128 && var.memory <= 10240 && floor(var.memory) == var.memory
    error_message = "The memory is 128 to 10240 MB, a whole number."
  }
}

variable "name" {
  description = <<-EOT
    Name of the Lambda, its role and its log, before a hyphen and the region. Roles are
    shared by all regions of an AWS account: a second skill in the same account needs another name.
  EOT
  type        = string
  default     = "gatepost-skill-proxy"
  nullable    = false

  validation {
    # A role and a function have at most 64 characters, three of which are the
    # region's.
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,60}$", var.name))
    error_message = "The name is 1 to 61 letters, digits, underscores and hyphens."
  }
}

variable "package" {
  description = "Path of the zip from scripts/build-proxy."
  type        = string
  nullable    = false

  validation {
    condition     = fileexists(var.package)
    error_message = "There is no package at this path: run scripts/build-proxy."
  }
}

variable "region" {
  description = "The proxy's Alexa region: NA, EU or FE. The provider must be configured for its AWS region."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["NA", "EU", "FE"], var.region)
    error_message = "The region is NA, EU or FE."
  }
}

variable "skill_event" {
  description = <<-EOT
    The stack's function SkillEvent. Without it Alexa is not allowed to send skill events to the proxy.
      url       its address
      audience  of its ID token; by default derived from the URL
  EOT
  type = object({
    url      = string
    audience = optional(string, "")
  })
  default = null

  validation {
    condition     = var.skill_event == null || can(regex("^https://[^/?#@\\s]+(/[^?#\\s]*)?$", var.skill_event.url))
    error_message = "The url of skill_event is an https URL without query: a skill event has the customer's token in it."
  }
}

variable "skill_id" {
  description = "Id of the Alexa skill, from the developer console. No other skill can invoke the Lambda."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^amzn1\\.ask\\.skill\\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.skill_id))
    error_message = "The skill_id is amzn1.ask.skill. and a UUID in lower case."
  }
}
