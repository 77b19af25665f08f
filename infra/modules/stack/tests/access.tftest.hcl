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

# All permissions.

run "every_function_has_an_account_of_its_own" {
  command = plan

  assert {
    condition = { for name, account in google_service_account.function : name => account.account_id } == {
      acceptgrant   = "gatepost-eu-acceptgrant"
      skillevent    = "gatepost-eu-skillevent"
      refreshtokens = "gatepost-eu-refreshtokens"
      refreshshard  = "gatepost-eu-refreshshard"
      sendevent     = "gatepost-eu-sendevent"
    }
    error_message = "The functions' accounts differ."
  }
  assert {
    condition     = alltrue([for name, function in google_cloudfunctions2_function.function : function.service_config[0].service_account_email == "gatepost-eu-${name}@maker-prod.iam.gserviceaccount.com"])
    error_message = "A function must run as its own account."
  }
  assert {
    condition     = length(distinct([for account in concat(values(google_service_account.function), values(google_service_account.caller)) : account.account_id])) == 9
    error_message = "No two may share an account."
  }
  assert {
    # https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts/create
    condition     = alltrue([for account in concat(values(google_service_account.function), values(google_service_account.caller)) : length(account.account_id) <= 30])
    error_message = "An account's id has at most 30 characters."
  }
}

run "only_its_caller_may_call_a_function" {
  command = plan

  assert {
    condition = { for name, account in google_service_account.caller : name => account.account_id } == {
      proxy             = "gatepost-eu-proxy"
      scheduler         = "gatepost-eu-scheduler"
      push-refreshshard = "gatepost-eu-push-refreshshard"
      push-sendevent    = "gatepost-eu-push-sendevent"
    }
    error_message = "The callers' accounts differ."
  }
  assert {
    condition = { for name, binding in google_cloud_run_v2_service_iam_member.caller : name => join(" ", [binding.location, binding.name, binding.role, binding.member]) } == {
      acceptgrant   = "europe-west1 gatepost-eu-acceptgrant roles/run.invoker serviceAccount:gatepost-eu-proxy@maker-prod.iam.gserviceaccount.com"
      skillevent    = "europe-west1 gatepost-eu-skillevent roles/run.invoker serviceAccount:gatepost-eu-proxy@maker-prod.iam.gserviceaccount.com"
      refreshtokens = "europe-west1 gatepost-eu-refreshtokens roles/run.invoker serviceAccount:gatepost-eu-scheduler@maker-prod.iam.gserviceaccount.com"
      refreshshard  = "europe-west1 gatepost-eu-refreshshard roles/run.invoker serviceAccount:gatepost-eu-push-refreshshard@maker-prod.iam.gserviceaccount.com"
      sendevent     = "europe-west1 gatepost-eu-sendevent roles/run.invoker serviceAccount:gatepost-eu-push-sendevent@maker-prod.iam.gserviceaccount.com"
    }
    error_message = "Only its caller may call a function."
  }
}

run "callers" {
  command = plan

  assert {
    condition = join(" ", [
      google_service_account_iam_member.lambda.service_account_id, google_service_account_iam_member.lambda.role, google_service_account_iam_member.lambda.member,
    ]) == "projects/maker-prod/serviceAccounts/gatepost-eu-proxy@maker-prod.iam.gserviceaccount.com roles/iam.serviceAccountOpenIdTokenCreator ${var.lambda}"
    error_message = "The Lambda's role may only get ID tokens of the calling account."
  }
  assert {
    condition = { for name, binding in google_service_account_iam_member.push : name => join(" ", [binding.service_account_id, binding.role, binding.member]) } == {
      push-refreshshard = "projects/maker-prod/serviceAccounts/gatepost-eu-push-refreshshard@maker-prod.iam.gserviceaccount.com roles/iam.serviceAccountTokenCreator serviceAccount:service-123456@gcp-sa-pubsub.iam.gserviceaccount.com"
      push-sendevent    = "projects/maker-prod/serviceAccounts/gatepost-eu-push-sendevent@maker-prod.iam.gserviceaccount.com roles/iam.serviceAccountTokenCreator serviceAccount:service-123456@gcp-sa-pubsub.iam.gserviceaccount.com"
    }
    error_message = "Pub/Sub must be able to sign as the two push accounts only."
  }
}

run "database" {
  command = plan

  assert {
    condition = { for name, binding in google_project_iam_member.database : name => join(" ", [binding.project, binding.role, binding.member]) } == {
      for name in ["acceptgrant", "skillevent", "refreshshard", "sendevent"] : name => "maker-prod roles/datastore.user serviceAccount:gatepost-eu-${name}@maker-prod.iam.gserviceaccount.com"
    }
    error_message = "Every function but RefreshTokens must be able to use the database."
  }
  assert {
    condition = toset([for binding in google_project_iam_member.database : "${binding.condition[0].title}: ${binding.condition[0].expression}"]) == toset([
      "gatepost-eu: resource.name == \"projects/maker-prod/databases/gatepost-eu\"",
    ])
    error_message = "Every binding on the project must have the condition on this database."
  }
}

run "secrets" {
  command = plan

  assert {
    condition = toset([for binding in google_secret_manager_secret_iam_member.reads : join(" ", [binding.secret_id, binding.role, binding.member])]) == toset([
      "gatepost-lwa-credentials roles/secretmanager.secretAccessor serviceAccount:gatepost-eu-acceptgrant@maker-prod.iam.gserviceaccount.com",
      "gatepost-lwa-credentials roles/secretmanager.secretAccessor serviceAccount:gatepost-eu-refreshshard@maker-prod.iam.gserviceaccount.com",
      "gatepost-lwa-credentials roles/secretmanager.secretAccessor serviceAccount:gatepost-eu-sendevent@maker-prod.iam.gserviceaccount.com",
      "gatepost-token-keyset-eu roles/secretmanager.secretAccessor serviceAccount:gatepost-eu-acceptgrant@maker-prod.iam.gserviceaccount.com",
      "gatepost-token-keyset-eu roles/secretmanager.secretAccessor serviceAccount:gatepost-eu-refreshshard@maker-prod.iam.gserviceaccount.com",
      "gatepost-token-keyset-eu roles/secretmanager.secretAccessor serviceAccount:gatepost-eu-sendevent@maker-prod.iam.gserviceaccount.com",
    ])
    error_message = "A function may read only the secrets in its environment."
  }
}

run "secret_for_introspection" {
  command = plan

  variables {
    grantee = { resolver = "introspection:https://id.maker.example/introspect" }
    secrets = { lwa = "gatepost-lwa-credentials", keyset = "gatepost-token-keyset-eu", grantee = "gatepost-grantee-credentials" }
  }

  assert {
    condition = toset([for binding in google_secret_manager_secret_iam_member.reads : binding.member if binding.secret_id == "gatepost-grantee-credentials"]) == toset([
      "serviceAccount:gatepost-eu-acceptgrant@maker-prod.iam.gserviceaccount.com", "serviceAccount:gatepost-eu-skillevent@maker-prod.iam.gserviceaccount.com",
    ])
    error_message = "Only AcceptGrant and SkillEvent identify customers."
  }
  assert {
    condition     = length(google_secret_manager_secret_iam_member.reads) == 8
    error_message = "The others' secrets must not change."
  }
}

run "topics" {
  command = plan

  assert {
    condition = toset([for binding in google_pubsub_topic_iam_member.publishes : join(" ", [binding.topic, binding.role, binding.member])]) == toset([
      "grant-events roles/pubsub.publisher serviceAccount:gatepost-eu-acceptgrant@maker-prod.iam.gserviceaccount.com",
      "grant-events roles/pubsub.publisher serviceAccount:gatepost-eu-refreshshard@maker-prod.iam.gserviceaccount.com",
      "grant-events roles/pubsub.publisher serviceAccount:gatepost-eu-sendevent@maker-prod.iam.gserviceaccount.com",
      "dead-letters roles/pubsub.publisher serviceAccount:gatepost-eu-sendevent@maker-prod.iam.gserviceaccount.com",
      "gatepost-eu-refresh roles/pubsub.publisher serviceAccount:gatepost-eu-refreshtokens@maker-prod.iam.gserviceaccount.com",
    ])
    error_message = "A function may publish only to the topics in its environment."
  }
}

run "refuses_a_set_of_principals_as_lambda" {
  command = plan

  variables {
    lambda = "principalSet://iam.googleapis.com/projects/123456/locations/global/workloadIdentityPools/gatepost/*"
  }
  expect_failures = [var.lambda]
}
