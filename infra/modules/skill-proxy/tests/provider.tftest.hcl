# A plan by the real provider, which checks more than a mock: the values that AWS
# accepts, and the defaults. It has no credentials and makes no calls.

provider "aws" {
  region                      = "us-west-2"
  access_key                  = "fake"
  secret_key                  = "fake"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true
}

override_data {
  target = data.aws_caller_identity.here
  values = { account_id = "123456789012" }
}

variables {
  accept_grant = { url = "https://acceptgrant-fake-uw.a.run.app/" }
  google = {
    workload_provider = "//iam.googleapis.com/projects/123456/locations/global/workloadIdentityPools/gatepost/providers/aws-fe"
    service_account   = "gatepost-caller-fe@maker-prod.iam.gserviceaccount.com"
  }
  package     = "tests/package.txt"
  region      = "FE"
  skill_event = { url = "https://skillevent-fake-uw.a.run.app/" }
  skill_id    = "amzn1.ask.skill.00000000-0000-4000-8000-0123456789ab"
}

run "plan" {
  command = plan

  assert {
    condition     = aws_lambda_function.proxy.reserved_concurrent_executions == -1
    error_message = "No concurrency may be reserved."
  }
  assert {
    condition     = aws_lambda_function.proxy.publish == false && length(aws_lambda_function.proxy.vpc_config) == 0
    error_message = "The function must have one version and no VPC."
  }
  assert {
    condition     = aws_iam_role.proxy.path == "/" && aws_iam_role.proxy.name == "gatepost-skill-proxy-fe"
    error_message = "The role must be the one that the assumed role names."
  }
  assert {
    condition     = output.assumed_role == "arn:aws:sts::123456789012:assumed-role/gatepost-skill-proxy-fe"
    error_message = "The assumed role differs."
  }
}

run "refuses_a_provider_of_another_region" {
  command = plan

  variables {
    region = "NA"
  }
  expect_failures = [data.aws_region.here]
}
