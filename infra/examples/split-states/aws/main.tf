# The half of AWS, which knows the other only by its output.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = { source = "hashicorp/aws", version = ">= 5.100, < 7" }
  }
}

variable "proxy_package" {
  default = "skillproxy.zip" # of scripts/build-proxy
}

variable "lambdas" {
  type = map(map(string))
}

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

module "gatepost" {
  source    = "../../../modules/aws"
  providers = { aws.na = aws.na, aws.eu = aws.eu, aws.fe = aws.fe }

  lambdas  = var.lambdas
  skill_id = "amzn1.ask.skill.00000000-0000-4000-8000-0123456789ab"
  package  = var.proxy_package
}

output "arns" {
  value = module.gatepost.arns
}
