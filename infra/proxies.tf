# The Lambdas that Alexa calls. A provider cannot be chosen by for_each, so the
# three regions are written out. If the maker has a Lambda already, none is
# created. The module checks the AWS region of the provider.

locals {
  proxy_regions = [for region, stack in var.regions : region if stack.own_lambda_role == null]

  # The roles of the created Lambdas, one by one: a reference to a whole module
  # would include the Lambda, which depends on the functions, which depend on this.
  proxy_roles = {
    NA = contains(local.proxy_regions, "NA") ? module.proxy_na[0].assumed_role : null
    EU = contains(local.proxy_regions, "EU") ? module.proxy_eu[0].assumed_role : null
    FE = contains(local.proxy_regions, "FE") ? module.proxy_fe[0].assumed_role : null
  }

  proxy_arns = {
    NA = contains(local.proxy_regions, "NA") ? module.proxy_na[0].function_arn : null
    EU = contains(local.proxy_regions, "EU") ? module.proxy_eu[0].function_arn : null
    FE = contains(local.proxy_regions, "FE") ? module.proxy_fe[0].function_arn : null
  }
}

module "proxy_na" {
  source    = "./modules/skill-proxy"
  count     = contains(local.proxy_regions, "NA") ? 1 : 0
  providers = { aws = aws.na }

  region       = "NA"
  accept_grant = { url = module.stack["NA"].urls.acceptgrant }
  skill_event  = { url = module.stack["NA"].urls.skillevent }
  google = {
    workload_provider = local.workload_provider
    service_account   = module.stack["NA"].caller
  }

  alarm_topic_arn    = try(var.alarm_topic_arns["NA"], null)
  directive          = var.directive
  log_retention_days = var.log_retention_days
  name               = var.proxy_name
  package            = var.proxy_package
  skill_id           = var.skill_id
}

module "proxy_eu" {
  source    = "./modules/skill-proxy"
  count     = contains(local.proxy_regions, "EU") ? 1 : 0
  providers = { aws = aws.eu }

  region       = "EU"
  accept_grant = { url = module.stack["EU"].urls.acceptgrant }
  skill_event  = { url = module.stack["EU"].urls.skillevent }
  google = {
    workload_provider = local.workload_provider
    service_account   = module.stack["EU"].caller
  }

  alarm_topic_arn    = try(var.alarm_topic_arns["EU"], null)
  directive          = var.directive
  log_retention_days = var.log_retention_days
  name               = var.proxy_name
  package            = var.proxy_package
  skill_id           = var.skill_id
}

module "proxy_fe" {
  source    = "./modules/skill-proxy"
  count     = contains(local.proxy_regions, "FE") ? 1 : 0
  providers = { aws = aws.fe }

  region       = "FE"
  accept_grant = { url = module.stack["FE"].urls.acceptgrant }
  skill_event  = { url = module.stack["FE"].urls.skillevent }
  google = {
    workload_provider = local.workload_provider
    service_account   = module.stack["FE"].caller
  }

  alarm_topic_arn    = try(var.alarm_topic_arns["FE"], null)
  directive          = var.directive
  log_retention_days = var.log_retention_days
  name               = var.proxy_name
  package            = var.proxy_package
  skill_id           = var.skill_id
}
