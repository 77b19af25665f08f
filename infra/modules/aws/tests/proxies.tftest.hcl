mock_provider "aws" {
  alias  = "na"
  source = "../../terraform-tests/mocks/aws-na"
}

mock_provider "aws" {
  alias  = "eu"
  source = "../../terraform-tests/mocks/aws-eu"
}

mock_provider "aws" {
  alias  = "fe"
  source = "../../terraform-tests/mocks/aws-fe"
}

variables {
  lambdas = {
    for region in ["NA", "EU", "FE"] : region => {
      ACCEPT_GRANT_URL         = "https://acceptgrant-${lower(region)}.a.run.app"
      SKILL_EVENT_URL          = "https://skillevent-${lower(region)}.a.run.app"
      GOOGLE_WORKLOAD_PROVIDER = "//iam.googleapis.com/projects/123456/locations/global/workloadIdentityPools/gatepost/providers/aws-lambda"
      GOOGLE_SERVICE_ACCOUNT   = "gatepost-${lower(region)}-proxy@maker-prod.iam.gserviceaccount.com"
    }
  }
  package  = "tests/package.txt"
  skill_id = "amzn1.ask.skill.00000000-0000-4000-8000-0123456789ab"
}

run "three_regions" {
  command = plan

  assert {
    condition     = keys(output.arns) == ["EU", "FE", "NA"]
    error_message = "Each region must have a proxy."
  }
}

run "refuses_a_region_that_Alexa_does_not_have" {
  command = plan

  variables {
    alarm_topic_arns = { eu = "arn:aws:sns:eu-west-1:123456789012:oncall" }
    lambdas = {
      EMEA = {
        ACCEPT_GRANT_URL         = "https://acceptgrant-eu.a.run.app"
        SKILL_EVENT_URL          = "https://skillevent-eu.a.run.app"
        GOOGLE_WORKLOAD_PROVIDER = "//iam.googleapis.com/projects/123456/locations/global/workloadIdentityPools/gatepost/providers/aws-lambda"
        GOOGLE_SERVICE_ACCOUNT   = "gatepost-eu-proxy@maker-prod.iam.gserviceaccount.com"
      }
    }
  }
  expect_failures = [var.alarm_topic_arns, var.lambdas]
}
