output "allow_publishing" {
  description = "The commands that let the maker's cloud publish device events; its account in place of PUBLISHER."
  value = [
    for topic in google_pubsub_topic.device_events :
    "gcloud pubsub topics add-iam-policy-binding ${topic.name} --project=${var.project_id} --role=roles/pubsub.publisher --member=serviceAccount:PUBLISHER"
  ]
}

output "own_lambdas" {
  description = "What a Lambda of the maker's own needs to call the functions, by Alexa region, where there is one: the environment of functions/skillproxy."
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
  description = "The commands that give each secret its value, before the functions can start; how each is made is in README.md. Terraform never sees a value."
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
      aws_region   where Alexa calls the skill
      lambda       who may call its functions from AWS, as a principal
      caller       email address of the account that it calls them as; a directive handler that wants a Google ID token
                   has to let that one in
      lambda_arn   what to enter in the developer console as the skill's endpoint; null where the maker has one
      database     with the customers' grants
      urls         of the functions
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
  description = "Where the maker's cloud publishes device events, and where it learns of grants: subscribe to grant_events. Dead letters wait in the subscription for gatepost replay."
  value = {
    device_events = sort([for topic in google_pubsub_topic.device_events : topic.name])
    grant_events  = google_pubsub_topic.grant_events.name
    dead_letters  = google_pubsub_subscription.dead_letters["dead-letters"].name
  }
}
