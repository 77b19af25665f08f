output "allow_publishing" {
  description = "Commands that let the maker's cloud publish device events; replace PUBLISHER with its account."
  value       = module.google.allow_publishing
}

output "own_lambdas" {
  description = "Environment of each Lambda of the maker's own for calling the functions, by Alexa region: that of functions/skillproxy."
  value       = { for region, stack in var.regions : region => module.google.lambdas[region] if stack.own_lambda_role != null }
}

output "secrets" {
  description = "Commands that give each secret its value, before the functions can start; README.md explains how to create the values. Terraform never sees them."
  value       = module.google.secrets
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
    for region, stack in module.google.stacks : region => merge(stack, {
      aws_region = local.aws_regions[region]
      lambda_arn = try(module.aws.arns[region], null)
    })
  }
}

output "topics" {
  description = "The maker's cloud publishes to device_events, and subscribes to grant_events. Dead letters wait in the subscription dead_letters for gatepost replay."
  value       = module.google.topics
}
