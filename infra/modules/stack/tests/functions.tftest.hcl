# Planned by the real provider, which checks more than a mock: the values that
# Google accepts, and the addresses of accounts. It has no credentials and makes no
# calls.

provider "google" {
  project      = "maker-prod"
  access_token = "fake"
}

variables {
  build_account      = "projects/maker-prod/serviceAccounts/gatepost-build@maker-prod.iam.gserviceaccount.com"
  events             = { max_age = "5m", checks = "strict" }
  firestore_location = "eur3"
  grantee            = { resolver = "jwt:https://id.maker.example" }
  lambda             = "principal://iam.googleapis.com/projects/123456/locations/global/workloadIdentityPools/gatepost/subject/arn:aws:sts::123456789012:assumed-role/gatepost-skill-proxy-eu"
  location           = "europe-west1"
  package            = { bucket = "maker-prod-gatepost-source", object = "functions-fake.zip" }
  project_id         = "maker-prod"
  pubsub_agent       = "serviceAccount:service-123456@gcp-sa-pubsub.iam.gserviceaccount.com"
  refresh            = { schedule = "*/5 * * * *", shards = 16, idle_after = "off" }
  region             = "EU"
  secrets            = { lwa = "gatepost-lwa-credentials", keyset = "gatepost-token-keyset-eu" }
  skill              = "default"
  topics = {
    device_events        = "device-events"
    grant_events         = "grant-events"
    dead_letters         = "dead-letters"
    refresh_dead_letters = "refresh-dead-letters"
  }
}

run "functions" {
  command = plan

  assert {
    condition = { for name, function in google_cloudfunctions2_function.function : name => join(" ", [
      function.name, function.location, function.build_config[0].runtime, function.build_config[0].entry_point,
      ]) } == {
      acceptgrant   = "gatepost-eu-acceptgrant europe-west1 go126 AcceptGrant"
      skillevent    = "gatepost-eu-skillevent europe-west1 go126 SkillEvent"
      refreshtokens = "gatepost-eu-refreshtokens europe-west1 go126 RefreshTokens"
      refreshshard  = "gatepost-eu-refreshshard europe-west1 go126 RefreshShard"
      sendevent     = "gatepost-eu-sendevent europe-west1 go126 SendEvent"
    }
    error_message = "The five functions differ."
  }
  assert {
    condition = alltrue([for function in google_cloudfunctions2_function.function : (
      function.build_config[0].service_account == "projects/maker-prod/serviceAccounts/gatepost-build@maker-prod.iam.gserviceaccount.com" &&
      function.build_config[0].environment_variables == tomap({ GOOGLE_GOLDFLAGS = "-s -w" }) &&
      function.build_config[0].source[0].storage_source[0].bucket == "maker-prod-gatepost-source" &&
      function.build_config[0].source[0].storage_source[0].object == "functions-fake.zip"
    )])
    error_message = "Every function must be built from the same source by the build account."
  }
  assert {
    condition = { for name, function in google_cloudfunctions2_function.function : name => function.service_config[0].ingress_settings } == {
      acceptgrant   = "ALLOW_ALL"
      skillevent    = "ALLOW_ALL"
      refreshtokens = "ALLOW_INTERNAL_ONLY"
      refreshshard  = "ALLOW_INTERNAL_ONLY"
      sendevent     = "ALLOW_INTERNAL_ONLY"
    }
    error_message = "Only the functions that the Lambda calls may be public."
  }
  assert {
    condition     = alltrue([for function in google_cloudfunctions2_function.function : function.service_config[0].all_traffic_on_latest_revision])
    error_message = "A new revision must get all traffic."
  }
  assert {
    condition = alltrue([for function in google_cloudfunctions2_function.function :
    length(function.service_config[0].secret_environment_variables) == 0 && length(function.service_config[0].secret_volumes) == 0])
    error_message = "No environment may have a secret's value: it could not be rotated without a deploy."
  }
}

run "numbers" {
  command = plan

  assert {
    condition     = toset([for function in google_cloudfunctions2_function.function : function.service_config[0].timeout_seconds]) == toset([60])
    error_message = "Every function must get 60 seconds."
  }
  assert {
    condition = { for name, function in google_cloudfunctions2_function.function : name => function.service_config[0].max_instance_request_concurrency } == {
      acceptgrant = 80, skillevent = 80, refreshtokens = 80, refreshshard = 16, sendevent = 80,
    }
    error_message = "The concurrency must match the functions' connection pools."
  }
  assert {
    condition = { for name, function in google_cloudfunctions2_function.function : name => join(" ", [
      function.service_config[0].min_instance_count, function.service_config[0].max_instance_count,
      function.service_config[0].available_memory, function.service_config[0].available_cpu,
      ]) } == {
      acceptgrant   = "1 10 256Mi 1"
      skillevent    = "0 10 256Mi 1"
      refreshtokens = "0 2 256Mi 1"
      refreshshard  = "0 2 256Mi 1"
      sendevent     = "0 10 512Mi 1"
    }
    error_message = "Instances, memory or processors differ."
  }
}

run "other_scaling" {
  command = plan

  variables {
    scaling = {
      AcceptGrant = { min_instances = 0 }
      SendEvent   = { min_instances = 3, max_instances = 400, memory = "1Gi", cpu = "2" }
    }
  }

  assert {
    condition = { for name, function in google_cloudfunctions2_function.function : name => join(" ", [
      function.service_config[0].min_instance_count, function.service_config[0].max_instance_count,
      function.service_config[0].available_memory, function.service_config[0].available_cpu,
      ]) } == {
      acceptgrant   = "0 10 256Mi 1"
      skillevent    = "0 10 256Mi 1"
      refreshtokens = "0 2 256Mi 1"
      refreshshard  = "0 2 256Mi 1"
      sendevent     = "3 400 1Gi 2"
    }
    error_message = "The settings must apply, and change nothing else."
  }
}

run "refuses_more_instances_at_least_than_at_most" {
  command = plan

  variables {
    scaling = { RefreshTokens = { min_instances = 3 } }
  }
  expect_failures = [google_cloudfunctions2_function.function["refreshtokens"]]
}

run "refuses_many_processors_with_the_memory_of_one" {
  command = plan

  variables {
    scaling = { SendEvent = { cpu = "4" }, RefreshShard = { cpu = "8", memory = "2Gi" }, AcceptGrant = { cpu = "4", memory = "2Gi" } }
  }
  expect_failures = [google_cloudfunctions2_function.function["sendevent"], google_cloudfunctions2_function.function["refreshshard"]]
}

run "refuses_more_memory_than_a_processor_gets" {
  command = plan

  variables {
    scaling = { SendEvent = { memory = "5Gi" }, RefreshShard = { memory = "4Gi" } }
  }
  expect_failures = [google_cloudfunctions2_function.function["sendevent"]]
}
