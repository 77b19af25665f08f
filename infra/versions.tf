terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
    google = {
      source  = "hashicorp/google"
      version = ">= 7.33, < 9"
    }
  }
}
