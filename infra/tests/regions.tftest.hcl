mock_provider "google" {}

variables {
  project_id = "maker-prod"
  regions    = { EU = { location = "europe-west1" } }
}

run "one_region" {
  command = plan

  assert {
    condition     = keys(output.stacks) == ["EU"]
    error_message = "One region must make one stack."
  }
  assert {
    condition = output.stacks["EU"] == {
      location = "europe-west1"
      environment = {
        ALEXA_REGIONS        = "EU"
        FIRESTORE_DATABASE   = "gatepost-eu"
        GOOGLE_CLOUD_PROJECT = "maker-prod"
        GRANT_STORE          = "firestore"
        SKILL                = "default"
      }
    }
    error_message = "The EU stack's output differs."
  }
}

run "three_regions" {
  command = plan

  variables {
    regions = {
      NA = { location = "us-east4", firestore_location = "nam5" }
      EU = { location = "europe-west1" }
      FE = { location = "us-west1" }
    }
    skill = "lamps"
  }

  assert {
    condition     = [for stack in output.stacks : stack.environment.FIRESTORE_DATABASE] == ["gatepost-eu", "gatepost-fe", "gatepost-na"]
    error_message = "Each stack must have a database of its own."
  }
  assert {
    condition     = alltrue([for stack in output.stacks : stack.environment.SKILL == "lamps"])
    error_message = "The skill must reach every stack."
  }
}

run "refuses_no_region" {
  command = plan

  variables {
    regions = {}
  }
  expect_failures = [var.regions]
}

run "refuses_an_unknown_region" {
  command = plan

  variables {
    regions = { eu = { location = "europe-west1" } }
  }
  expect_failures = [var.regions]
}

run "refuses_a_zone_as_location" {
  command = plan

  variables {
    regions = { EU = { location = "europe-west1-b" } }
  }
  expect_failures = [var.regions]
}

run "refuses_a_malformed_firestore_location" {
  command = plan

  variables {
    regions = { EU = { location = "europe-west1", firestore_location = "Europe" } }
  }
  expect_failures = [var.regions]
}

run "refuses_a_malformed_project" {
  command = plan

  variables {
    project_id = "Maker"
  }
  expect_failures = [var.project_id]
}

run "refuses_a_malformed_skill" {
  command = plan

  variables {
    skill = "my lamps"
  }
  expect_failures = [var.skill]
}
