# One Alexa region. Unused regions get the same provider.

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

provider "google" {}

provider "aws" {
  region = "eu-west-1"
}

module "google" {
  source = "../../modules/google"

  project_id     = "maker-prod"
  aws_account_id = "123456789012"
  grantee        = { resolver = "userinfo:https://id.maker.example/userinfo" }
  source_package = var.source_package
  regions = {
    EU = { location = "europe-west1", firestore_location = "eur3", lambda_role = "gatepost-skill-proxy-eu" }
  }
}

module "aws" {
  source    = "../../modules/aws"
  providers = { aws.na = aws, aws.eu = aws, aws.fe = aws }

  lambdas   = module.google.lambdas
  skill_id  = "amzn1.ask.skill.00000000-0000-4000-8000-0123456789ab"
  package   = var.proxy_package
  directive = { url = "https://home.maker.example/alexa" }
}

output "arns" {
  value = module.aws.arns
}

output "secrets" {
  value = module.google.secrets
}
