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

run "apis" {
  command = plan

  assert {
    condition = toset([for api in google_project_service.api : trimsuffix(api.service, ".googleapis.com")]) == toset([
      "artifactregistry", "cloudbuild", "cloudfunctions", "cloudresourcemanager", "cloudscheduler", "firestore", "iam",
      "iamcredentials", "logging", "monitoring", "pubsub", "run", "secretmanager", "storage", "sts",
    ])
    error_message = "The APIs differ."
  }
  assert {
    condition     = alltrue([for api in google_project_service.api : api.disable_on_destroy == false])
    error_message = "Other parts of the project may use an API: it must stay on."
  }
}

run "source" {
  command = plan

  assert {
    condition     = google_storage_bucket.source.name == "maker-prod-gatepost-source" && lower(google_storage_bucket.source.location) == "europe-west1"
    error_message = "The bucket must be the project's, in a region of its stacks."
  }
  assert {
    condition = (
      google_storage_bucket.source.public_access_prevention == "enforced" &&
      google_storage_bucket.source.uniform_bucket_level_access &&
      google_storage_bucket.source.versioning[0].enabled == false
    )
    error_message = "The bucket must not be public, and must keep one version."
  }
  assert {
    condition = [for rule in google_storage_bucket.source.lifecycle_rule : [
      one(rule.action[*].type), one(rule.condition[*].age),
    ]] == [["Delete", 30]]
    error_message = "Old sources must be deleted."
  }
  assert {
    condition     = google_storage_bucket_object.functions.name == "functions-${filemd5("tests/package.txt")}.zip" && google_storage_bucket_object.functions.source == "tests/package.txt"
    error_message = "Another source must be another object."
  }
}

run "build_account" {
  command = plan

  assert {
    condition     = google_service_account.build.account_id == "gatepost-build"
    error_message = "The build must have its own account."
  }
  assert {
    condition = toset([for binding in google_project_iam_member.build : "${binding.role} ${binding.member}"]) == toset([
      for role in ["roles/artifactregistry.writer", "roles/logging.logWriter", "roles/storage.objectViewer"] : "${role} ${google_service_account.build.member}"
    ])
    error_message = "The build account must have exactly three roles on the project."
  }
}

run "topics" {
  command = plan

  assert {
    condition     = toset([for topic in google_pubsub_topic.device_events : topic.name]) == toset(["device-events"])
    error_message = "There must be one topic for device events."
  }
  assert {
    condition     = length(google_pubsub_topic.device_events["device-events"].message_storage_policy) == 0
    error_message = "A topic for all regions must have no storage policy."
  }
  assert {
    condition     = google_pubsub_topic.grant_events.name == "grant-events" && google_pubsub_topic.grant_events.message_retention_duration == "604800s"
    error_message = "Grant events must be kept for later subscriptions."
  }
  assert {
    condition = output.topics == {
      dead_letters  = "dead-letters"
      device_events = tolist(["device-events"])
      grant_events  = "grant-events"
    }
    error_message = "The output of topics differs."
  }
  assert {
    condition = output.allow_publishing == [
      "gcloud pubsub topics add-iam-policy-binding device-events --project=maker-prod --role=roles/pubsub.publisher --member=serviceAccount:PUBLISHER",
    ]
    error_message = "The command that lets the maker publish differs."
  }
}

run "dead_letters" {
  command = plan

  assert {
    condition     = { for name, subscription in google_pubsub_subscription.dead_letters : name => subscription.topic } == { dead-letters = "dead-letters", refresh-dead-letters = "refresh-dead-letters" }
    error_message = "Both kinds of dead letters must have a topic and a subscription."
  }
  assert {
    condition = alltrue([for subscription in google_pubsub_subscription.dead_letters : (
      subscription.name == subscription.topic &&
      length(subscription.push_config) == 0 &&
      length(subscription.dead_letter_policy) == 0 &&
      subscription.ack_deadline_seconds == 60 &&
      subscription.message_retention_duration == "604800s" &&
      subscription.expiration_policy[0].ttl == "" &&
      subscription.retry_policy[0].minimum_backoff == "10s" &&
      subscription.retry_policy[0].maximum_backoff == "600s"
    )])
    error_message = "Dead letters must be kept for 7 days, in a subscription that never expires and has no dead-letter policy."
  }
  assert {
    condition = { for name, binding in google_pubsub_topic_iam_member.forwards_dead_letters : name => "${binding.topic} ${binding.role} ${binding.member}" } == {
      for name in ["dead-letters", "refresh-dead-letters"] : name => "${name} roles/pubsub.publisher serviceAccount:service-123456@gcp-sa-pubsub.iam.gserviceaccount.com"
    }
    error_message = "Pub/Sub must be able to publish dead letters."
  }
}

run "regional_topics" {
  command = plan

  variables {
    device_events = "regional"
    regions = {
      NA = { location = "us-east4", firestore_location = "nam5", lambda_role = "gatepost-skill-proxy-na" }
      EU = { location = "europe-west1", firestore_location = "eur3", lambda_role = "gatepost-skill-proxy-eu" }
    }
  }

  assert {
    condition = { for name, topic in google_pubsub_topic.device_events : name => topic.message_storage_policy[0].allowed_persistence_regions } == {
      device-events-na = toset(["us-east4"]), device-events-eu = toset(["europe-west1"]),
    }
    error_message = "Each stack must have a topic whose messages stay in its location."
  }
  assert {
    condition     = output.topics.device_events == tolist(["device-events-eu", "device-events-na"]) && length(output.allow_publishing) == 2
    error_message = "The output must have both topics."
  }
  assert {
    condition     = local.device_events_topic == { EU = "device-events-eu", NA = "device-events-na" }
    error_message = "A stack must read its own topic."
  }
}

run "secrets" {
  command = plan

  variables {
    regions = {
      NA = { location = "us-east4", firestore_location = "nam5", lambda_role = "gatepost-skill-proxy-na" }
      EU = { location = "europe-west1", firestore_location = "eur3", lambda_role = "gatepost-skill-proxy-eu" }
    }
  }

  assert {
    condition     = toset(keys(google_secret_manager_secret.gatepost)) == toset(["gatepost-lwa-credentials", "gatepost-token-keyset-eu", "gatepost-token-keyset-na"])
    error_message = "There must be one secret for the skill, and a keyset for each stack."
  }
  assert {
    condition = { for name, secret in google_secret_manager_secret.gatepost : name => [
      for replica in flatten(secret.replication[*].user_managed[*].replicas) : replica.location
      ] } == {
      gatepost-lwa-credentials = []
      gatepost-token-keyset-eu = ["europe-west1"]
      gatepost-token-keyset-na = ["us-east4"]
    }
    error_message = "A keyset must be kept in its stack's location only."
  }
  assert {
    condition     = alltrue([for secret in google_secret_manager_secret.gatepost : secret.deletion_policy == "ABANDON"])
    error_message = "Without its keyset a database is useless: Terraform must not delete a secret."
  }
  assert {
    condition = output.secrets == {
      gatepost-lwa-credentials = "gcloud secrets versions add gatepost-lwa-credentials --project=maker-prod --data-file=-"
      gatepost-token-keyset-eu = "go run ./scripts/gatepost keyset create projects/maker-prod/secrets/gatepost-token-keyset-eu"
      gatepost-token-keyset-na = "go run ./scripts/gatepost keyset create projects/maker-prod/secrets/gatepost-token-keyset-na"
    }
    error_message = "The commands that fill the secrets differ."
  }
}

run "secret_for_introspection" {
  command = plan

  variables {
    grantee = { resolver = "introspection:https://id.maker.example/introspect" }
  }

  assert {
    condition     = contains(keys(google_secret_manager_secret.gatepost), "gatepost-grantee-credentials")
    error_message = "Introspection needs a secret with credentials."
  }
  assert {
    condition     = output.stacks["EU"].environment.acceptgrant.GRANTEE_CREDENTIALS == "projects/maker-prod/secrets/gatepost-grantee-credentials"
    error_message = "AcceptGrant must have that secret."
  }
}
