# override_during, since Terraform 1.11, gives a plan the values that are known only
# after the apply. Nothing is applied: Terraform would destroy it again, which the
# subscription for device events forbids.

mock_provider "google" {
  source          = "./tests/mocks/google"
  override_during = plan
}

variables {
  aws_account_id = "123456789012"
  grantee        = { resolver = "jwt:https://id.maker.example" }
  project_id     = "maker-prod"
  regions        = { EU = { location = "europe-west1", firestore_location = "eur3", lambda_role = "gatepost-skill-proxy-eu" } }
  source_package = "tests/package.txt"
}

run "provider" {
  command = plan

  assert {
    condition     = google_iam_workload_identity_pool.gatepost.workload_identity_pool_id == "gatepost"
    error_message = "The pool differs."
  }
  assert {
    condition     = google_iam_workload_identity_pool_provider.aws.workload_identity_pool_provider_id == "aws-lambda" && google_iam_workload_identity_pool_provider.aws.aws[0].account_id == "123456789012"
    error_message = "The provider must trust AWS for the one account."
  }
  assert {
    condition = google_iam_workload_identity_pool_provider.aws.attribute_mapping == tomap({
      "google.subject" = "assertion.arn.extract('{account_arn}assumed-role/') + 'assumed-role/' + assertion.arn.extract('assumed-role/{role_name}/')"
    })
    error_message = "The subject must be the role, without the session."
  }
  assert {
    condition     = local.workload_provider == "//iam.googleapis.com/projects/123456/locations/global/workloadIdentityPools/gatepost/providers/aws-lambda"
    error_message = "The proxies must use this provider."
  }
}

run "one_region" {
  command = plan

  assert {
    condition     = google_iam_workload_identity_pool_provider.aws.attribute_condition == "google.subject in ['arn:aws:sts::123456789012:assumed-role/gatepost-skill-proxy-eu']"
    error_message = "Only the one role may be admitted."
  }
}

run "three_regions" {
  command = plan

  variables {
    regions = {
      NA = { location = "us-east4", firestore_location = "nam5", lambda_role = "lamps-na" }
      EU = { location = "europe-west1", firestore_location = "eur3", lambda_role = "lamps-eu" }
      FE = { location = "us-west1", firestore_location = "us-west1", lambda_role = "lamps-fe" }
    }
  }

  assert {
    condition = google_iam_workload_identity_pool_provider.aws.attribute_condition == join(", ", [
      "google.subject in ['arn:aws:sts::123456789012:assumed-role/lamps-eu'",
      "'arn:aws:sts::123456789012:assumed-role/lamps-fe'",
      "'arn:aws:sts::123456789012:assumed-role/lamps-na']",
    ])
    error_message = "Only the three roles may be admitted."
  }
  assert {
    condition = { for region, stack in output.stacks : region => stack.lambda } == {
      for region in ["NA", "EU", "FE"] : region =>
      "principal://iam.googleapis.com/projects/123456/locations/global/workloadIdentityPools/gatepost/subject/arn:aws:sts::123456789012:assumed-role/lamps-${lower(region)}"
    }
    error_message = "A stack must trust its own role only."
  }
}
