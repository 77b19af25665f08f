# The Lambdas that Alexa calls, one in each Alexa region. A provider cannot be chosen
# by for_each before version 6 of AWS's, so the three regions are written out.
# modules/skill-proxy checks the AWS region of its provider.

module "proxy_na" {
  source    = "../skill-proxy"
  count     = contains(keys(var.lambdas), "NA") ? 1 : 0
  providers = { aws = aws.na }

  region       = "NA"
  accept_grant = { url = var.lambdas["NA"].ACCEPT_GRANT_URL }
  skill_event  = { url = var.lambdas["NA"].SKILL_EVENT_URL }
  google = {
    workload_provider = var.lambdas["NA"].GOOGLE_WORKLOAD_PROVIDER
    service_account   = var.lambdas["NA"].GOOGLE_SERVICE_ACCOUNT
  }

  alarm_topic_arn    = try(var.alarm_topic_arns["NA"], null)
  directive          = var.directive
  log_retention_days = var.log_retention_days
  name               = var.name
  package            = var.package
  skill_id           = var.skill_id

  permissions_boundary = var.permissions_boundary
  role_path            = var.role_path
  tags                 = var.tags
}

module "proxy_eu" {
  source    = "../skill-proxy"
  count     = contains(keys(var.lambdas), "EU") ? 1 : 0
  providers = { aws = aws.eu }

  region       = "EU"
  accept_grant = { url = var.lambdas["EU"].ACCEPT_GRANT_URL }
  skill_event  = { url = var.lambdas["EU"].SKILL_EVENT_URL }
  google = {
    workload_provider = var.lambdas["EU"].GOOGLE_WORKLOAD_PROVIDER
    service_account   = var.lambdas["EU"].GOOGLE_SERVICE_ACCOUNT
  }

  alarm_topic_arn    = try(var.alarm_topic_arns["EU"], null)
  directive          = var.directive
  log_retention_days = var.log_retention_days
  name               = var.name
  package            = var.package
  skill_id           = var.skill_id

  permissions_boundary = var.permissions_boundary
  role_path            = var.role_path
  tags                 = var.tags
}

module "proxy_fe" {
  source    = "../skill-proxy"
  count     = contains(keys(var.lambdas), "FE") ? 1 : 0
  providers = { aws = aws.fe }

  region       = "FE"
  accept_grant = { url = var.lambdas["FE"].ACCEPT_GRANT_URL }
  skill_event  = { url = var.lambdas["FE"].SKILL_EVENT_URL }
  google = {
    workload_provider = var.lambdas["FE"].GOOGLE_WORKLOAD_PROVIDER
    service_account   = var.lambdas["FE"].GOOGLE_SERVICE_ACCOUNT
  }

  alarm_topic_arn    = try(var.alarm_topic_arns["FE"], null)
  directive          = var.directive
  log_retention_days = var.log_retention_days
  name               = var.name
  package            = var.package
  skill_id           = var.skill_id

  permissions_boundary = var.permissions_boundary
  role_path            = var.role_path
  tags                 = var.tags
}
