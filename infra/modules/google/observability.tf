# Alerts, dashboards and metrics, and their variables.

variable "alert_channels" {
  description = "Names of the notification channels of all alerts, projects/P/notificationChannels/N. Without one no alert policy is created."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition = length(var.alert_channels) <= 16 && alltrue([
      for channel in var.alert_channels : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", channel))
    ])
    error_message = "An alert channel is projects/P/notificationChannels/N, as gcloud beta monitoring channels list shows it. A policy has at most 16."
  }
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

module "observability" {
  source = "../observability"

  project_id     = local.project
  project_number = data.google_project.this.number
  alert_channels = var.alert_channels
  max_event_age  = var.max_event_age
  dead_letters   = [for subscription in google_pubsub_subscription.dead_letters : subscription.name]
  stacks = {
    for region, stack in module.stack : region => {
      location             = var.regions[region].location
      device_events        = local.device_events_topic[region]
      subscription         = stack.subscription
      refresh_subscription = stack.refresh_subscription
      database             = stack.database
      max_instances        = stack.max_instances
    }
  }

  budget       = var.budget
  canary       = var.canary
  keyset_alert = var.keyset_alert
  labels       = var.labels
  slo          = var.slo
}
