# Each rule of the module, broken.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_region" {
    defaults = { id = "eu-west-1" }
  }
}

variables {
  accept_grant = { url = "https://acceptgrant-fake-ew.a.run.app/" }
  google = {
    workload_provider = "//iam.googleapis.com/projects/123456/locations/global/workloadIdentityPools/gatepost/providers/aws-eu"
    service_account   = "gatepost-caller-eu@maker-prod.iam.gserviceaccount.com"
  }
  package  = "tests/package.txt"
  region   = "EU"
  skill_id = "amzn1.ask.skill.00000000-0000-4000-8000-0123456789ab"
}

run "refuses_a_plain_http_url_of_accept_grant" {
  command = plan

  variables {
    accept_grant = { url = "http://acceptgrant-fake-ew.a.run.app/" }
  }
  expect_failures = [var.accept_grant]
}

run "refuses_an_accept_grant_url_with_a_user" {
  command = plan

  variables {
    accept_grant = { url = "https://user@acceptgrant-fake-ew.a.run.app/" }
  }
  expect_failures = [var.accept_grant]
}

run "refuses_an_accept_grant_url_with_a_query" {
  command = plan

  variables {
    accept_grant = { url = "https://acceptgrant-fake-ew.a.run.app/?key=fake" }
  }
  expect_failures = [var.accept_grant]
}

run "refuses_an_empty_accept_grant_url" {
  command = plan

  variables {
    accept_grant = { url = "" }
  }
  expect_failures = [var.accept_grant]
}

run "refuses_a_plain_http_url_of_skill_event" {
  command = plan

  variables {
    skill_event = { url = "http://skillevent-fake-ew.a.run.app/" }
  }
  expect_failures = [var.skill_event]
}

run "refuses_a_plain_http_url_of_directive" {
  command = plan

  variables {
    directive = { url = "http://home.example.com/alexa" }
  }
  expect_failures = [var.directive]
}

run "refuses_an_unknown_auth_of_directive" {
  command = plan

  variables {
    directive = { url = "https://home.example.com/alexa", auth = "basic" }
  }
  expect_failures = [var.directive]
}

run "refuses_a_workload_provider_by_project_id" {
  command = plan

  variables {
    google = {
      workload_provider = "//iam.googleapis.com/projects/maker-prod/locations/global/workloadIdentityPools/gatepost/providers/aws-eu"
      service_account   = "gatepost-caller-eu@maker-prod.iam.gserviceaccount.com"
    }
  }
  expect_failures = [var.google]
}

run "refuses_a_workload_provider_without_its_host" {
  command = plan

  variables {
    google = {
      workload_provider = "projects/123456/locations/global/workloadIdentityPools/gatepost/providers/aws-eu"
      service_account   = "gatepost-caller-eu@maker-prod.iam.gserviceaccount.com"
    }
  }
  expect_failures = [var.google]
}

run "refuses_a_service_account_by_name" {
  command = plan

  variables {
    google = {
      workload_provider = "//iam.googleapis.com/projects/123456/locations/global/workloadIdentityPools/gatepost/providers/aws-eu"
      service_account   = "gatepost-caller-eu"
    }
  }
  expect_failures = [var.google]
}

run "refuses_a_log_for_ever" {
  command = plan

  variables {
    log_retention_days = 0
  }
  expect_failures = [var.log_retention_days]
}

run "refuses_a_log_for_a_period_unknown_to_cloudwatch" {
  command = plan

  variables {
    log_retention_days = 31
  }
  expect_failures = [var.log_retention_days]
}

run "refuses_too_little_memory" {
  command = plan

  variables {
    memory = 64
  }
  expect_failures = [var.memory]
}

run "refuses_too_much_memory" {
  command = plan

  variables {
    memory = 10241
  }
  expect_failures = [var.memory]
}

run "refuses_half_a_megabyte" {
  command = plan

  variables {
    memory = 128.5
  }
  expect_failures = [var.memory]
}

run "refuses_a_name_too_long_for_a_role" {
  command = plan

  variables {
    name = "gatepost-skill-proxy-of-the-longest-name-that-a-maker-can-use1"
  }
  expect_failures = [var.name]
}

run "refuses_a_name_with_a_path" {
  command = plan

  variables {
    name = "gatepost/skill-proxy"
  }
  expect_failures = [var.name]
}

run "refuses_a_missing_package" {
  command = plan

  variables {
    package = "tests/missing.zip"
  }
  expect_failures = [var.package]
}

run "refuses_an_unknown_region" {
  command = plan

  variables {
    region = "eu"
  }
  expect_failures = [var.region]
}

run "refuses_a_skill_id_of_another_kind" {
  command = plan

  variables {
    skill_id = "amzn1.ask.account.00000000-0000-4000-8000-0123456789ab"
  }
  expect_failures = [var.skill_id]
}

run "refuses_a_skill_id_with_a_wildcard" {
  command = plan

  variables {
    skill_id = "amzn1.ask.skill.*"
  }
  expect_failures = [var.skill_id]
}

# A region of Alexa's, but of another stack: no other rule would refuse it.
run "refuses_a_provider_of_another_region" {
  command = plan

  variables {
    region = "NA"
  }
  expect_failures = [data.aws_region.here]
}

run "refuses_a_region_where_alexa_calls_nobody" {
  command = plan

  override_data {
    target = data.aws_region.here
    values = { id = "eu-central-1" }
  }
  expect_failures = [data.aws_region.here]
}

# No account's id is that long today. A change that makes the subject longer, such
# as adding the session's name, fails here and not at the first grant.
run "refuses_a_subject_too_long_for_google" {
  command = plan

  override_data {
    target = data.aws_caller_identity.here
    values = { account_id = "1234567890123456789012345678901234567" }
  }
  variables {
    name = "gatepost-skill-proxy-of-the-longest-name-that-a-maker-can-use"
  }
  expect_failures = [output.assumed_role]
}

run "refuses_an_alarm_topic_without_its_arn" {
  command = plan

  variables {
    alarm_topic_arn = "oncall"
  }
  expect_failures = [var.alarm_topic_arn]
}
