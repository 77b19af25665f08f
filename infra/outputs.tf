output "allow_publishing" {
  description = "Commands that let the maker's cloud publish device events; replace PUBLISHER with its account."
  value = [
    for topic in google_pubsub_topic.device_events :
    "gcloud pubsub topics add-iam-policy-binding ${topic.name} --project=${var.project_id} --role=roles/pubsub.publisher --member=serviceAccount:PUBLISHER"
  ]
}

output "own_lambdas" {
  description = "Environment of each Lambda of the maker's own for calling the functions, by Alexa region: that of functions/skillproxy."
  value = {
    for region, stack in var.regions : region => {
      ACCEPT_GRANT_URL         = module.stack[region].urls.acceptgrant
      SKILL_EVENT_URL          = module.stack[region].urls.skillevent
      GOOGLE_WORKLOAD_PROVIDER = local.workload_provider
      GOOGLE_SERVICE_ACCOUNT   = module.stack[region].caller
    } if stack.own_lambda_role != null
  }
}

output "secrets" {
  description = "Commands that give each secret its value, before the functions can start; README.md explains how to create the values. Terraform never sees them."
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
      aws_region   AWS region in which Alexa calls the skill
      lambda       the principal that may call its functions from AWS
      caller       email address of the account for these calls; a directive handler that needs a Google ID token
                   must admit it
      lambda_arn   the skill's endpoint, to enter in the developer console; null if the maker has a Lambda
      database     the database of the customers' grants
      urls         addresses of the functions
      environment  of each function
  EOT
  value = {
    for region, stack in var.regions : region => {
      location    = stack.location
      aws_region  = local.aws_regions[region]
      lambda      = module.stack[region].lambda
      caller      = module.stack[region].caller
      lambda_arn  = local.proxy_arns[region]
      database    = module.stack[region].database
      urls        = module.stack[region].urls
      environment = module.stack[region].environment
    }
  }
}

output "topics" {
  description = "Topics to which the maker's cloud publishes device events, and to which it subscribes: grant_events. Dead letters wait in the subscription for gatepost replay."
  value = {
    device_events = sort([for topic in google_pubsub_topic.device_events : topic.name])
    grant_events  = google_pubsub_topic.grant_events.name
    dead_letters  = google_pubsub_subscription.dead_letters["dead-letters"].name
  }
}
