# What some organisations require, each switched on. The other tests have all of it
# off. What a stack gets is in modules/stack/tests.

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

run "everything_off" {
  command = plan

  assert {
    condition = (
      alltrue([for topic in concat(values(google_pubsub_topic.device_events), values(google_pubsub_topic.dead_letters), [google_pubsub_topic.grant_events]) :
      topic.kms_key_name == null && topic.labels == null]) &&
      alltrue([for secret in google_secret_manager_secret.gatepost : secret.version_destroy_ttl == null && secret.labels == null]) &&
      length(flatten([for secret in google_secret_manager_secret.gatepost : [
        secret.replication[*].auto[*].customer_managed_encryption, secret.replication[*].user_managed[*].replicas[*].customer_managed_encryption,
      ]])) == 0
    )
    error_message = "There must be no labels, keys and delays that nobody has set."
  }
  assert {
    condition = (
      length(google_pubsub_topic_iam_member.publisher) == 0 && length(google_pubsub_topic_iam_member.subscriber) == 0 &&
      length(google_artifact_registry_repository.functions) == 0 &&
      alltrue([for binding in google_project_iam_member.build : length(binding.condition) == 0])
    )
    error_message = "There must be no members, repositories and conditions that nobody has set."
  }
}

run "labels" {
  command = plan

  variables {
    build_rights = "resources"
    labels       = { team = "smart-home" }
  }

  assert {
    condition = toset(concat(
      [for topic in google_pubsub_topic.device_events : topic.labels], [google_pubsub_topic.grant_events.labels],
      [for topic in google_pubsub_topic.dead_letters : topic.labels],
      [for subscription in google_pubsub_subscription.dead_letters : subscription.labels],
      [for secret in google_secret_manager_secret.gatepost : secret.labels],
      [for repository in google_artifact_registry_repository.functions : repository.labels],
      [google_storage_bucket.source.labels],
    )) == toset([tomap({ team = "smart-home" })])
    error_message = "Each resource that can have labels must have these."
  }
}

run "keys" {
  command = plan

  variables {
    grantee = { resolver = "introspection:https://id.maker.example/introspect" }
    kms_keys = {
      keysets = { EU = "projects/maker-kms/locations/europe-west1/keyRings/gatepost/cryptoKeys/keyset" }
      secrets = "projects/maker-kms/locations/global/keyRings/gatepost/cryptoKeys/secrets"
      topics  = "projects/maker-kms/locations/europe/keyRings/gatepost/cryptoKeys/topics"
    }
    version_destroy_ttl = "2592000s"
  }

  assert {
    condition = toset([
      for topic in concat(values(google_pubsub_topic.device_events), values(google_pubsub_topic.dead_letters), [google_pubsub_topic.grant_events]) : topic.kms_key_name
    ]) == toset([var.kms_keys.topics])
    error_message = "Each topic must have the topics' key."
  }
  assert {
    condition = { for name, secret in google_secret_manager_secret.gatepost : name => [
      for key in flatten([
        secret.replication[*].auto[*].customer_managed_encryption, secret.replication[*].user_managed[*].replicas[*].customer_managed_encryption,
      ]) : key.kms_key_name
      ] } == {
      gatepost-grantee-credentials = [var.kms_keys.secrets]
      gatepost-lwa-credentials     = [var.kms_keys.secrets]
      gatepost-token-keyset-eu     = [var.kms_keys.keysets["EU"]]
    }
    error_message = "A keyset must have its region's key, and every other secret the secrets' key."
  }
  assert {
    condition     = toset([for secret in google_secret_manager_secret.gatepost : secret.version_destroy_ttl]) == toset(["2592000s"])
    error_message = "It must be possible to restore a destroyed version of each secret."
  }
}

run "members" {
  command = plan

  variables {
    device_events            = "regional"
    grant_events_subscribers = ["group:links@maker.example"]
    publishers               = ["serviceAccount:devices@maker-cloud.iam.gserviceaccount.com", "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/s"]
    regions = {
      NA = { location = "us-west2", firestore_location = "nam5", lambda_role = "gatepost-skill-proxy-na" }
      EU = { location = "europe-west1", firestore_location = "eur3", lambda_role = "gatepost-skill-proxy-eu" }
    }
  }

  assert {
    condition = toset([for binding in google_pubsub_topic_iam_member.publisher : "${binding.topic} ${binding.role} ${binding.member}"]) == toset([
      for pair in setproduct(["device-events-eu", "device-events-na"], var.publishers) : "${pair[0]} roles/pubsub.publisher ${pair[1]}"
    ])
    error_message = "Each publisher must be able to publish to the topic of each region, and to no other."
  }
  assert {
    condition = [for binding in google_pubsub_topic_iam_member.subscriber : "${binding.topic} ${binding.role} ${binding.member}"] == [
      "grant-events roles/pubsub.subscriber group:links@maker.example",
    ]
    error_message = "A subscriber must be able to attach a subscription to grant-events only."
  }
}

run "build_rights" {
  command = plan

  variables {
    build_rights = "resources"
  }

  assert {
    condition = { for role, binding in google_project_iam_member.build : role => [for condition in binding.condition : condition.expression] } == {
      "roles/logging.logWriter"    = []
      "roles/storage.objectViewer" = ["resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-123456-\")"]
    }
    error_message = "On the project the build may write its log, and read Cloud Functions' sources only."
  }
  assert {
    condition = [for binding in google_artifact_registry_repository_iam_member.build : "${binding.location} ${binding.repository} ${binding.role} ${binding.member}"] == [
      "europe-west1 gatepost-eu roles/artifactregistry.writer ${google_service_account.build.member}",
    ]
    error_message = "The build must be able to write to the stack's repository."
  }
  assert {
    condition = toset([
      for policy in google_artifact_registry_repository.functions["EU"].cleanup_policies :
      join(" ", concat([policy.action], policy.condition[*].older_than, [for newest in policy.most_recent_versions : tostring(newest.keep_count)]))
    ]) == toset(["DELETE 2592000s", "KEEP 5"])
    error_message = "The repository must keep the newest images, and those of 30 days."
  }
}

run "refuses_unknown_words" {
  command = plan

  variables {
    backup_retention_weeks   = 15
    build_rights             = "none"
    grant_events_subscribers = ["domain:maker.example"]
    kms_keys                 = { keysets = { eu = "projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k" } }
    labels                   = { Team = "smart-home" }
    publishers               = ["allUsers"]
    version_destroy_ttl      = "3600s"
  }
  expect_failures = [
    var.backup_retention_weeks, var.build_rights, var.grant_events_subscribers, var.kms_keys, var.labels, var.publishers, var.version_destroy_ttl,
  ]
}

run "refuses_what_google_would" {
  command = plan

  variables {
    backup_retention_weeks   = 0.5
    grant_events_subscribers = ["links@maker.example"]
    kms_keys                 = { topics = "projects/p/locations/europe/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1" }
    labels                   = { team = "Smart home" }
    publishers               = ["deleted:serviceAccount:devices@maker-cloud.iam.gserviceaccount.com?uid=1"]
    version_destroy_ttl      = "30d"
  }
  expect_failures = [
    var.backup_retention_weeks, var.grant_events_subscribers, var.kms_keys, var.labels, var.publishers, var.version_destroy_ttl,
  ]
}

run "refuses_a_regional_key_for_shared_secrets" {
  command = plan

  variables {
    kms_keys = { secrets = "projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k" }
  }
  expect_failures = [var.kms_keys]
}
