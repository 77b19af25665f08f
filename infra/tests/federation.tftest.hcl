# override_during, since Terraform 1.11, gives a plan the values that are known only
# after the apply. Nothing is applied: Terraform would destroy it again, which the
# subscription for device events forbids.

mock_provider "google" {
  source          = "./tests/mocks/google"
  override_during = plan
}

mock_provider "aws" {
  alias  = "na"
  source = "./tests/mocks/aws-na"
}

mock_provider "aws" {
  alias  = "eu"
  source = "./tests/mocks/aws-eu"
}

mock_provider "aws" {
  alias  = "fe"
  source = "./tests/mocks/aws-fe"
}

variables {
  aws_account_id = "123456789012"
  grantee        = { resolver = "jwt:https://id.maker.example" }
  project_id     = "maker-prod"
  proxy_package  = "tests/package.txt"
  regions        = { EU = { location = "europe-west1", firestore_location = "eur3" } }
  skill_id       = "amzn1.ask.skill.00000000-0000-4000-8000-0123456789ab"
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
    error_message = "Only the one proxy's role may be admitted."
  }
}

run "three_regions" {
  command = plan

  variables {
    regions = {
      NA = { location = "us-east4", firestore_location = "nam5" }
      EU = { location = "europe-west1", firestore_location = "eur3" }
      FE = { location = "us-west1", firestore_location = "us-west1" }
    }
    proxy_name = "lamps"
  }

  assert {
    condition = google_iam_workload_identity_pool_provider.aws.attribute_condition == join(", ", [
      "google.subject in ['arn:aws:sts::123456789012:assumed-role/lamps-eu'",
      "'arn:aws:sts::123456789012:assumed-role/lamps-fe'",
      "'arn:aws:sts::123456789012:assumed-role/lamps-na']",
    ])
    error_message = "Only the three proxies' roles may be admitted."
  }
  assert {
    condition = { for region, stack in output.stacks : region => stack.lambda } == {
      for region in ["NA", "EU", "FE"] : region =>
      "principal://iam.googleapis.com/projects/123456/locations/global/workloadIdentityPools/gatepost/subject/arn:aws:sts::123456789012:assumed-role/lamps-${lower(region)}"
    }
    error_message = "A stack must trust the role of its own proxy only."
  }
}

run "own_lambda_role" {
  command = plan

  variables {
    regions = {
      NA = { location = "us-east4", firestore_location = "nam5", own_lambda_role = "maker-smart-home" }
      EU = { location = "europe-west1", firestore_location = "eur3" }
    }
  }

  assert {
    condition     = length(module.proxy_na) == 0 && length(module.proxy_eu) == 1
    error_message = "If the maker has a Lambda, none must be created."
  }
  assert {
    condition = google_iam_workload_identity_pool_provider.aws.attribute_condition == join(", ", [
      "google.subject in ['arn:aws:sts::123456789012:assumed-role/gatepost-skill-proxy-eu'",
      "'arn:aws:sts::123456789012:assumed-role/maker-smart-home']",
    ])
    error_message = "The maker's role must be admitted."
  }
  assert {
    condition     = endswith(output.stacks["NA"].lambda, ":assumed-role/maker-smart-home") && endswith(output.stacks["EU"].lambda, ":assumed-role/gatepost-skill-proxy-eu")
    error_message = "The maker's role must be trusted by its own stack only."
  }
  assert {
    condition     = output.stacks["NA"].lambda_arn == null
    error_message = "There must be no Lambda of ours to enter in the developer console."
  }
  assert {
    condition = output.own_lambdas == {
      NA = {
        ACCEPT_GRANT_URL         = "https://function-fake.a.run.app"
        SKILL_EVENT_URL          = "https://function-fake.a.run.app"
        GOOGLE_SERVICE_ACCOUNT   = "account-fake@maker-prod.iam.gserviceaccount.com"
        GOOGLE_WORKLOAD_PROVIDER = "//iam.googleapis.com/projects/123456/locations/global/workloadIdentityPools/gatepost/providers/aws-lambda"
      }
    }
    error_message = "The output must have the environment of the maker's own Lambda."
  }
}

# No role's name is that long today: only a module with a longer subject could break
# the rule.
run "refuses_a_subject_too_long_for_google" {
  command = plan

  override_module {
    target  = module.proxy_eu
    outputs = { assumed_role = "arn:aws:sts::123456789012:assumed-role/of-a-name-that-no-role-can-have-of-a-name-that-no-role-can-have-of-a-name-that-no-role-ca" }
  }
  expect_failures = [google_iam_workload_identity_pool_provider.aws]
}
