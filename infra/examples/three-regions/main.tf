# All Alexa regions, for a skill in test and the one that customers have, each in a
# project of its own.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws    = { source = "hashicorp/aws", version = ">= 5.100, < 7" }
    google = { source = "hashicorp/google", version = ">= 7.33, < 9" }
  }
}

variable "source_package" {
  default = "source.zip" # of scripts/package
}

variable "proxy_package" {
  default = "skillproxy.zip" # of scripts/build-proxy
}

locals {
  stages = {
    test = { project = "maker-test", skill_id = "amzn1.ask.skill.00000000-0000-4000-8000-0123456789aa" }
    prod = { project = "maker-prod", skill_id = "amzn1.ask.skill.00000000-0000-4000-8000-0123456789ab" }
  }
  locations = {
    NA = { location = "us-central1", firestore_location = "nam5" }
    EU = { location = "europe-west1", firestore_location = "eur3" }
    FE = { location = "us-west2", firestore_location = "us-west2" }
  }
}

provider "google" {}

provider "aws" {
  alias  = "na"
  region = "us-east-1"
}

provider "aws" {
  alias  = "eu"
  region = "eu-west-1"
}

provider "aws" {
  alias  = "fe"
  region = "us-west-2"
}

module "google" {
  source   = "../../modules/google"
  for_each = local.stages

  project_id     = each.value.project
  aws_account_id = "123456789012"
  grantee        = { resolver = "userinfo:https://id.maker.example/userinfo" }
  source_package = var.source_package
  regions = {
    for region, stack in local.locations : region => merge(stack, { lambda_role = "gatepost-${each.key}-${lower(region)}" })
  }
}

module "aws" {
  source    = "../../modules/aws"
  for_each  = local.stages
  providers = { aws.na = aws.na, aws.eu = aws.eu, aws.fe = aws.fe }

  name     = "gatepost-${each.key}"
  lambdas  = module.google[each.key].lambdas
  skill_id = each.value.skill_id
  package  = var.proxy_package
}

output "arns" {
  value = { for stage, aws in module.aws : stage => aws.arns }
}

output "secrets" {
  value = { for stage, google in module.google : stage => google.secrets }
}
