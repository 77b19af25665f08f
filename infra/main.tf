module "google" {
  source = "./modules/google"

  aws_account_id = var.aws_account_id
  project_id     = var.project_id
  regions = {
    for region, stack in var.regions : region => {
      location           = stack.location
      firestore_location = stack.firestore_location
      lambda_role        = coalesce(stack.own_lambda_role, "${var.proxy_name}-${lower(region)}")
    }
  }
  source_package = var.source_package

  alert_channels     = var.alert_channels
  budget             = var.budget
  canary             = var.canary
  device_events      = var.device_events
  event_checks       = var.event_checks
  exclude_accepted   = var.exclude_accepted
  grantee            = var.grantee
  keyset_alert       = var.keyset_alert
  lwa_max_rate       = var.lwa_max_rate
  max_event_age      = var.max_event_age
  refresh_idle_after = var.refresh_idle_after
  refresh_schedule   = var.refresh_schedule
  refresh_shards     = var.refresh_shards
  scaling            = var.scaling
  skill              = var.skill
  slo                = var.slo

  backup_retention_weeks   = var.backup_retention_weeks
  build_rights             = var.build_rights
  grant_events_subscribers = var.grant_events_subscribers
  kms_keys                 = var.kms_keys
  labels                   = var.labels
  publishers               = var.publishers
  version_destroy_ttl      = var.version_destroy_ttl
}

module "aws" {
  source    = "./modules/aws"
  providers = { aws.na = aws.na, aws.eu = aws.eu, aws.fe = aws.fe }

  lambdas = { for region in local.proxy_regions : region => module.google.lambdas[region] }

  alarm_topic_arns   = var.alarm_topic_arns
  directive          = var.directive
  log_retention_days = var.log_retention_days
  name               = var.proxy_name
  package            = var.proxy_package
  skill_id           = var.skill_id

  permissions_boundary = var.permissions_boundary
  role_path            = var.role_path
  tags                 = var.tags
}

locals {
  # Where the maker has no Lambda of its own.
  proxy_regions = [for region, stack in var.regions : region if stack.own_lambda_role == null]
}

# After a failed update the earlier revision serves, and a plan finds nothing to do.
check "functions_are_active" {
  assert {
    condition     = length(module.google.inactive) == 0
    error_message = "Not active: ${join(", ", module.google.inactive)}. The last build or start failed: once its log has told you why, terraform apply -replace builds a function again."
  }
}
