# The half of Google Cloud, in a state and a pipeline of its own. It needs only the
# names of the roles that the other half will make, and is applied first. Then
#
#   terraform output -json lambdas | jq '{lambdas: .}' >../aws/lambdas.auto.tfvars.json

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
  source = "../../../modules/google"

  project_id     = "maker-prod"
  aws_account_id = "123456789012"
  grantee        = { resolver = "userinfo:https://id.maker.example/userinfo" }
  source_package = var.source_package
  regions = {
    NA = { location = "us-central1", firestore_location = "nam5", lambda_role = "gatepost-skill-proxy-na" }
    EU = { location = "europe-west1", firestore_location = "eur3", lambda_role = "gatepost-skill-proxy-eu" }
  }
}

output "lambdas" {
  value = module.gatepost.lambdas
}

output "secrets" {
  value = module.gatepost.secrets
}
