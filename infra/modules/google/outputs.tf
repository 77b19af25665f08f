output "allow_publishing" {
  description = "Commands that let the maker's cloud publish device events; replace PUBLISHER with its account."
  value = [
    for topic in google_pubsub_topic.device_events :
    "gcloud pubsub topics add-iam-policy-binding ${topic.name} --project=${var.project_id} --role=roles/pubsub.publisher --member=serviceAccount:PUBLISHER"
  ]
}

output "inactive" {
  description = "Functions whose last build or start failed, each with its state. A plan shows no changes for them."
  value       = flatten([for stack in module.stack : stack.inactive])
}

output "lambdas" {
  description = "Environment of each Lambda for calling the functions, by Alexa region: that of functions/skillproxy."
  value = {
    for region, stack in module.stack : region => {
      ACCEPT_GRANT_URL         = stack.urls.acceptgrant
      SKILL_EVENT_URL          = stack.urls.skillevent
      GOOGLE_WORKLOAD_PROVIDER = local.workload_provider
      GOOGLE_SERVICE_ACCOUNT   = stack.caller
    }
  }
}

output "max_event_age" {
  description = "Maximum age of a device event when it is sent to Alexa."
  value       = var.max_event_age
}

output "project" {
  description = "The project's id, once its APIs are enabled."
  value       = local.project
}

output "secrets" {
  description = "Commands that give each secret its value, before the functions can start; infra/README.md explains how to create the values. Terraform never sees them."
  value = {
    for name, secret in google_secret_manager_secret.gatepost : name => (
      startswith(name, "gatepost-token-keyset-")
      ? "go run ./scripts/gatepost keyset create projects/${var.project_id}/secrets/${secret.secret_id}"
      : "gcloud secrets versions add ${secret.secret_id} --project=${var.project_id} --data-file=-"
    )
  }
}

output "stacks" {
  description = <<-EOT
    Each stack, by Alexa region.
      location     Google Cloud region
      lambda       the principal that may call its functions from AWS
      caller       email address of the account for these calls; a directive handler that needs a Google ID token
                   must admit it
      database     the database of the customers' grants
      urls         addresses of the functions
      environment  of each function
  EOT
  value = {
    for region, stack in module.stack : region => {
      location    = var.regions[region].location
      lambda      = stack.lambda
      caller      = stack.caller
      database    = stack.database
      urls        = stack.urls
      environment = stack.environment
    }
  }
}

output "subscriptions" {
  description = "Names of the subscriptions: in each stack one for device events and one for shards, and those for dead letters."
  value = {
    device_events = [for stack in module.stack : stack.subscription]
    refresh       = [for stack in module.stack : stack.refresh_subscription]
    dead_letters  = [for subscription in google_pubsub_subscription.dead_letters : subscription.name]
  }
}

output "topics" {
  description = "The maker's cloud publishes to device_events, and subscribes to grant_events. Dead letters wait in the subscription dead_letters for gatepost replay."
  value = {
    device_events = sort([for topic in google_pubsub_topic.device_events : topic.name])
    grant_events  = google_pubsub_topic.grant_events.name
    dead_letters  = google_pubsub_subscription.dead_letters["dead-letters"].name
  }
}
