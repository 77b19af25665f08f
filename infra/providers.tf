# The API of budgets refuses a person's own credentials without a project to count the
# call to.
provider "google" {
  project               = var.project_id
  billing_project       = var.budget == null ? null : var.project_id
  user_project_override = var.budget == null ? null : true
}

locals {
  # Alexa calls a smart home skill in these three only, so they are no setting:
  # https://developer.amazon.com/en-US/docs/alexa/smarthome/develop-smart-home-skills-in-multiple-languages.html
  aws_regions = { NA = "us-east-1", EU = "eu-west-1", FE = "us-west-2" }
}

# allowed_account_ids keeps the credentials of another account, left over in a
# shell, from creating roles there that this project then trusts. Where the maker has
# a Lambda in every region nothing is created in AWS, and no credentials are needed.

locals {
  without_aws = length(local.proxy_regions) == 0
  no_key      = local.without_aws ? "unused" : null
}

provider "aws" {
  alias  = "na"
  region = local.aws_regions.NA

  allowed_account_ids         = local.without_aws ? null : [var.aws_account_id]
  access_key                  = local.no_key
  secret_key                  = local.no_key
  skip_credentials_validation = local.without_aws
  skip_requesting_account_id  = local.without_aws
}

provider "aws" {
  alias  = "eu"
  region = local.aws_regions.EU

  allowed_account_ids         = local.without_aws ? null : [var.aws_account_id]
  access_key                  = local.no_key
  secret_key                  = local.no_key
  skip_credentials_validation = local.without_aws
  skip_requesting_account_id  = local.without_aws
}

provider "aws" {
  alias  = "fe"
  region = local.aws_regions.FE

  allowed_account_ids         = local.without_aws ? null : [var.aws_account_id]
  access_key                  = local.no_key
  secret_key                  = local.no_key
  skip_credentials_validation = local.without_aws
  skip_requesting_account_id  = local.without_aws
}
