# The examples are planned as they are.

mock_provider "google" {
  source          = "./modules/google/tests/mocks/google"
  override_during = plan
}

mock_provider "aws" {
  source = "./terraform-tests/mocks/aws-eu"
}

mock_provider "aws" {
  alias  = "na"
  source = "./terraform-tests/mocks/aws-na"
}

mock_provider "aws" {
  alias  = "eu"
  source = "./terraform-tests/mocks/aws-eu"
}

mock_provider "aws" {
  alias  = "fe"
  source = "./terraform-tests/mocks/aws-fe"
}

variables {
  source_package = "terraform-tests/package.txt"
  proxy_package  = "terraform-tests/package.txt"
}

run "single_region" {
  command = plan

  module {
    source = "./examples/single-region"
  }
  assert {
    condition     = keys(output.arns) == ["EU"]
    error_message = "There must be one Lambda."
  }
}

run "three_regions" {
  command = plan

  module {
    source = "./examples/three-regions"
  }
  assert {
    condition     = { for stage, arns in output.arns : stage => keys(arns) } == { for stage in ["prod", "test"] : stage => ["EU", "FE", "NA"] }
    error_message = "Each stage must have three Lambdas."
  }
}

run "own_lambda" {
  command = plan

  module {
    source = "./examples/own-lambda"
  }
  assert {
    condition     = startswith(output.lambda_environment.ACCEPT_GRANT_URL, "https://")
    error_message = "The maker's Lambda must learn the address."
  }
}

run "split_states_google" {
  command = plan

  module {
    source = "./examples/split-states/google"
  }
}

run "split_states_aws" {
  command = plan

  variables {
    lambdas = run.split_states_google.lambdas
  }
  module {
    source = "./examples/split-states/aws"
  }
  assert {
    condition     = keys(output.arns) == ["EU", "NA"]
    error_message = "The half of AWS must make a Lambda for each stack of Google's."
  }
}
