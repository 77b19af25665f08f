locals {
  # The Cloud Run services' own addresses, at run.app: only there do calls from this
  # project count as internal, and the audience of an ID token is the same.
  uris = { for name, function in google_cloudfunctions2_function.function : name => function.service_config[0].uri }
}

output "caller" {
  description = "Email address of the account that may call AcceptGrant and SkillEvent."
  value       = google_service_account.caller["proxy"].email
}

output "database" {
  description = "Name of the Firestore database."
  value       = google_firestore_database.grants.name
}

output "environment" {
  description = "Environments of the functions, by function."
  value       = local.environment
}

output "inactive" {
  description = "Functions whose last build or start failed, each with its state. A plan shows no changes for them."
  value       = [for function in google_cloudfunctions2_function.function : "${function.name} (${function.state})" if function.state != "ACTIVE"]
}

output "lambda" {
  description = "The principal that gets ID tokens of that account."
  value       = google_service_account_iam_member.lambda.member
}

output "max_instances" {
  description = "Maximum number of instances, by function."
  value       = { for name, scaling in local.scaling : name => tonumber(scaling.max_instances) }
}

output "refresh_subscription" {
  description = "Name of the subscription for shards."
  value       = google_pubsub_subscription.refresh.name
}

output "subscription" {
  description = "Name of the subscription for device events."
  value       = google_pubsub_subscription.device_events.name
}

output "urls" {
  description = "Addresses of the functions, by function."
  value       = local.uris
}
