variable "alert_channels" {
  description = "Names of the notification channels of all alerts, projects/P/notificationChannels/N. Without one no alert policy is created."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "budget" {
  description = <<-EOT
    A monthly budget for the project, with emails at 50, 90 and 120 %: null for none.
      billing_account  such as 012345-567890-ABCDEF. Applying needs roles/billing.costsManager on it.
      amount           in units of the account's currency
  EOT
  type = object({
    billing_account = string
    amount          = number
  })
  default = null

  validation {
    condition     = var.budget == null || can(regex("^[0-9A-F]{6}(-[0-9A-F]{6}){2}$", var.budget.billing_account))
    error_message = "The billing_account of budget is 18 hexadecimal digits in three groups, as gcloud billing accounts list shows it."
  }

  validation {
    condition     = var.budget == null || try(var.budget.amount >= 1 && floor(var.budget.amount) == var.budget.amount, false)
    error_message = "The amount of budget is 1 or more, a whole number."
  }
}

variable "canary" {
  description = <<-EOT
    The maker's test customer in an Alexa region, for whom a report is published every five minutes: see
    infra/playbooks/canary.md. Without one there is no canary in the region.
      user_id      the maker's id for the customer, who must have linked the skill in this region
      endpoint_id  id of one of their discovered endpoints
  EOT
  type = map(object({
    user_id     = string
    endpoint_id = string
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for canary in var.canary : canary.user_id != "" && canary.endpoint_id != ""])
    error_message = "A canary has a user_id and an endpoint_id."
  }
}

variable "dead_letters" {
  description = "Names of the dead-letter topics; each has a subscription of the same name."
  type        = list(string)
  nullable    = false
}

variable "keyset_alert" {
  description = <<-EOT
    Whether to notify when a principal other than the functions reads a keyset. It turns on Secret
    Manager's data access audit log for the whole project, which is billed like other logs, and replaces the project's
    own settings for that service.
  EOT
  type        = bool
  default     = false
  nullable    = false
}

variable "labels" {
  description = "Labels of the alert policies and objectives; the other resources cannot be labelled."
  type        = map(string)
  default     = null
}

variable "max_event_age" {
  description = "Maximum age of a device event when it is sent to Alexa, such as 5m or 1h30m."
  type        = string
  nullable    = false
}

variable "project_id" {
  description = "Id of the Google Cloud project."
  type        = string
  nullable    = false
}

variable "project_number" {
  description = "Number of the Google Cloud project, which a budget's filter needs."
  type        = string
  nullable    = false
}

variable "slo" {
  description = <<-EOT
    Whether to create services and SLOs in Cloud Monitoring, which show how much of each error budget is left. Google
    refuses an SLO until its metrics exist, up to ten minutes after the first apply, so leave it off until then. The
    burn-rate alerts do not need it.
  EOT
  type        = bool
  default     = false
  nullable    = false
}

variable "stacks" {
  description = <<-EOT
    The stacks, by Alexa region.
      location              Google Cloud region
      device_events         name of the topic for device events
      subscription          name of the subscription for device events
      refresh_subscription  name of the subscription for shards
      database              name of the Firestore database
      max_instances         of each function, by its name in lower case
  EOT
  type = map(object({
    location             = string
    device_events        = string
    subscription         = string
    refresh_subscription = string
    database             = string
    max_instances        = map(number)
  }))
  nullable = false
}
