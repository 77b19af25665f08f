# The skill has a Lambda already, which forwards AcceptGrant and skill events:
# functions/skillproxy/README.md says how. Nothing is made in AWS, and Terraform needs
# no credentials of it.

terraform {
  required_version = ">= 1.5"

  required_providers {
    google = { source = "hashicorp/google", version = ">= 7.33, < 9" }
  }
}

variable "source_package" {
  default = "source.zip" # of scripts/package
}

provider "google" {}

module "gatepost" {
  source = "../../modules/google"

  project_id     = "maker-prod"
  aws_account_id = "123456789012"
  grantee        = { resolver = "userinfo:https://id.maker.example/userinfo" }
  source_package = var.source_package
  regions = {
    EU = { location = "europe-west1", firestore_location = "eur3", lambda_role = "maker-smart-home" }
  }
}

output "lambda_environment" {
  description = "Environment of the Lambda."
  value       = module.gatepost.lambdas["EU"]
}

output "secrets" {
  value = module.gatepost.secrets
}
