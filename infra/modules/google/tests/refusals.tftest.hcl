# Each rule of the module, broken. A run breaks several, one of each variable,
# and each of them must fail.

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

run "refuses_what_is_missing" {
  command = plan

  variables {
    budget         = { billing_account = "billingAccounts/1", amount = 100 }
    canary         = { EU = { user_id = "", endpoint_id = "lamp-1" } }
    max_event_age  = ""
    refresh_shards = 0
    regions        = {}
    scaling        = { SendEvent = { max_instances = 0 } }
    source_package = "tests/missing.zip"
  }
  expect_failures = [
    var.budget, var.canary, var.max_event_age, var.refresh_shards, var.regions, var.scaling, var.source_package,
  ]
}

run "refuses_unknown_words" {
  command = plan

  variables {
    device_events = "global"
    event_checks  = "lax"
    grantee       = { resolver = "https://id.maker.example" }
    regions       = { eu = { location = "europe-west1", firestore_location = "eur3", lambda_role = "gatepost-skill-proxy-eu" } }
    scaling       = { sendevent = { max_instances = 10 } }
  }
  expect_failures = [var.device_events, var.event_checks, var.grantee, var.regions, var.scaling]
}

run "refuses_malformed_names" {
  command = plan

  variables {
    aws_account_id = "1234-5678-9012"
    project_id     = "Maker"
    regions        = { EU = { location = "europe-west1-b", firestore_location = "eur3", lambda_role = "gatepost-skill-proxy-eu" } }
    skill          = "my lamps"
  }
  expect_failures = [var.aws_account_id, var.project_id, var.regions, var.skill]
}

run "refuses_plain_http" {
  command = plan

  variables {
    grantee = { resolver = "userinfo:http://id.maker.example/me" }
  }
  expect_failures = [var.grantee]
}

run "refuses_what_a_url_must_not_have" {
  command = plan

  variables {
    grantee = { resolver = "userinfo:https://user@id.maker.example/me" }
  }
  expect_failures = [var.grantee]
}

run "refuses_an_issuer_with_a_query_and_a_location_with_capitals" {
  command = plan

  variables {
    grantee = { resolver = "jwt:https://id.maker.example/?tenant=1" }
    regions = { EU = { location = "europe-west1", firestore_location = "Europe", lambda_role = "gatepost-skill-proxy-eu" } }
  }
  expect_failures = [var.grantee, var.regions]
}

run "refuses_too_little" {
  command = plan

  variables {
    lwa_max_rate       = -1
    max_event_age      = "0s"
    refresh_idle_after = "59m"
    refresh_schedule   = "*/6 * * * *"
    scaling            = { SendEvent = { min_instances = -1 } }
  }
  expect_failures = [var.lwa_max_rate, var.max_event_age, var.refresh_idle_after, var.refresh_schedule, var.scaling]
}

# The role has one letter more than AWS allows.
run "refuses_too_much" {
  command = plan

  variables {
    exclude_accepted = 1.1
    lwa_max_rate     = 100001
    refresh_shards   = 257
    regions          = { EU = { location = "europe-west1", firestore_location = "eur3", lambda_role = "maker-role-of-a-name-that-is-one-letter-longer-than-any-role-may-be" } }
  }
  expect_failures = [var.exclude_accepted, var.lwa_max_rate, var.refresh_shards, var.regions]
}

run "refuses_other_units" {
  command = plan

  variables {
    max_event_age      = "300"
    refresh_idle_after = "30d"
    refresh_schedule   = "every 5 minutes"
    scaling            = { SendEvent = { memory = "536870912" } }
  }
  expect_failures = [var.max_event_age, var.refresh_idle_after, var.refresh_schedule, var.scaling]
}

run "refuses_halves" {
  command = plan

  variables {
    lwa_max_rate   = 0.5
    refresh_shards = 1.5
    scaling        = { SendEvent = { max_instances = 1.5 } }
  }
  expect_failures = [var.lwa_max_rate, var.refresh_shards, var.scaling]
}

run "refuses_half_a_processor_and_an_arn_as_role" {
  command = plan

  variables {
    regions = { EU = { location = "europe-west1", firestore_location = "eur3", lambda_role = "arn:aws:iam::123456789012:role/maker" } }
    scaling = { SendEvent = { cpu = "0.5" } }
  }
  expect_failures = [var.regions, var.scaling]
}

run "refuses_a_role_with_its_path_and_an_audience_for_userinfo" {
  command = plan

  variables {
    grantee = { resolver = "userinfo:https://id.maker.example/me", audience = "home" }
    regions = { EU = { location = "europe-west1", firestore_location = "eur3", lambda_role = "service-role/maker" } }
  }
  expect_failures = [var.grantee, var.regions]
}

run "refuses_a_key_set_for_userinfo" {
  command = plan

  variables {
    grantee = { resolver = "userinfo:https://id.maker.example/me", jwks = "https://id.maker.example/keys" }
  }
  expect_failures = [var.grantee]
}

run "refuses_a_key_set_in_the_clear" {
  command = plan

  variables {
    grantee = { resolver = "jwt:https://id.maker.example", jwks = "http://id.maker.example/keys" }
  }
  expect_failures = [var.grantee]
}

# A database does not move with its stack, so its location must be set.
run "refuses_a_stack_without_a_firestore_location" {
  command = plan

  variables {
    regions = { EU = { location = "europe-west1", firestore_location = null, lambda_role = "gatepost-skill-proxy-eu" } }
  }
  expect_failures = [var.regions]
}

run "refuses_a_schedule_that_leaves_shards_unswept" {
  command = plan

  variables {
    refresh_schedule = "0 * * * *"
  }
  expect_failures = [var.refresh_schedule]
}

run "refuses_one_role_for_two_stacks" {
  command = plan

  variables {
    regions = {
      NA = { location = "us-east4", firestore_location = "nam5", lambda_role = "maker-smart-home" }
      EU = { location = "europe-west1", firestore_location = "eur3", lambda_role = "Maker-Smart-Home" }
    }
  }
  expect_failures = [var.regions]
}
