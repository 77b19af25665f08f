# override_during, since Terraform 1.11, gives a plan the values that are known only
# after the apply. Nothing is applied: Terraform would destroy it again, which the
# subscription for device events forbids.

mock_provider "google" {
  source          = "./modules/google/tests/mocks/google"
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

run "none_without_a_channel" {
  command = plan

  assert {
    condition     = length(google_monitoring_alert_policy.log) == 0 && length(google_monitoring_alert_policy.metric) == 0 && length(google_monitoring_alert_policy.sweep) == 0
    error_message = "Without a notification channel there must be no alert policy."
  }
}

run "alerts" {
  command = plan

  variables {
    alert_channels = ["projects/maker-prod/notificationChannels/1", "projects/maker-prod/notificationChannels/2"]
    regions        = { NA = { location = "us-east4", firestore_location = "nam5" }, EU = { location = "europe-west1", firestore_location = "eur3" } }
  }

  assert {
    condition = (
      keys(google_monitoring_alert_policy.log) == ["errors"] &&
      keys(google_monitoring_alert_policy.metric) == ["dead_letters", "late", "late_shards"] &&
      keys(google_monitoring_alert_policy.sweep) == ["EU", "NA"]
    )
    error_message = "The alerts differ."
  }
  assert {
    condition = alltrue([for policy in concat(values(google_monitoring_alert_policy.log), values(google_monitoring_alert_policy.metric), values(google_monitoring_alert_policy.sweep)) :
    policy.notification_channels == tolist(var.alert_channels) && length(policy.documentation[0].content) > 100])
    error_message = "Every alert must notify all channels, and say what to do."
  }
  assert {
    condition = google_monitoring_alert_policy.log["errors"].conditions[0].condition_matched_log[0].filter == join(" AND ", [
      "resource.type=\"cloud_run_revision\"",
      "resource.labels.service_name=(${join(" OR ", [for name in [
        "eu-acceptgrant", "eu-refreshshard", "eu-refreshtokens", "eu-sendevent", "eu-skillevent",
        "na-acceptgrant", "na-refreshshard", "na-refreshtokens", "na-sendevent", "na-skillevent",
      ] : "\"gatepost-${name}\""])})",
      "(severity>=ERROR OR httpRequest.status=429)",
      "NOT (log_id(\"run.googleapis.com/requests\") AND resource.labels.service_name=(${join(" OR ", [for name in [
        "eu-refreshshard", "eu-refreshtokens", "eu-sendevent", "na-refreshshard", "na-refreshtokens", "na-sendevent",
      ] : "\"gatepost-${name}\""])}))",
    ])
    error_message = "The alert must cover errors of every function and requests without an answer, except retries."
  }
  assert {
    condition     = alltrue([for policy in google_monitoring_alert_policy.log : policy.alert_strategy[0].notification_rate_limit[0].period == "1800s"])
    error_message = "A fault with a line for every event must not send a notification for every line."
  }
  assert {
    condition = { for name, policy in google_monitoring_alert_policy.metric : name => join(" ", [
      policy.conditions[0].condition_threshold[0].filter, policy.conditions[0].condition_threshold[0].comparison, policy.conditions[0].condition_threshold[0].threshold_value,
      ]) } == {
      dead_letters = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = one_of(\"dead-letters\", \"refresh-dead-letters\") AND metric.type = \"pubsub.googleapis.com/subscription/num_undelivered_messages\" COMPARISON_GT 0"
      late         = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = one_of(\"gatepost-eu-device-events\", \"gatepost-na-device-events\") AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" COMPARISON_GT 150"
      late_shards  = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = one_of(\"gatepost-eu-refresh\", \"gatepost-na-refresh\") AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" COMPARISON_GT 300"
    }
    error_message = "The alerts must cover events at half of their greatest age, shards that wait for 5 minutes, and any dead letter."
  }
  assert {
    condition = { for region, policy in google_monitoring_alert_policy.sweep : region => join(" ", [
      policy.conditions[0].condition_absent[0].filter, policy.conditions[0].condition_absent[0].duration,
      policy.conditions[0].condition_absent[0].aggregations[0].cross_series_reducer,
      ]) } == { for region in ["EU", "NA"] : region => join(" ", [
      "resource.type = \"cloud_run_revision\" AND resource.labels.service_name = \"gatepost-${lower(region)}-refreshtokens\" AND",
      "metric.type = \"run.googleapis.com/request_count\" AND metric.labels.response_code_class = \"2xx\" 900s REDUCE_SUM",
    ]) }
    error_message = "The alert must cover every cause of a missing sweep."
  }
}

run "events_that_may_be_older" {
  command = plan

  variables {
    alert_channels = ["projects/maker-prod/notificationChannels/1"]
    max_event_age  = "1h30m"
  }
  assert {
    condition     = google_monitoring_alert_policy.metric["late"].conditions[0].condition_threshold[0].threshold_value == 300
    error_message = "The alert must cover events that wait for 5 minutes, for any max_event_age."
  }
}

run "events_that_must_be_young" {
  command = plan

  variables {
    alert_channels = ["projects/maker-prod/notificationChannels/1"]
    max_event_age  = "1m10s"
  }
  assert {
    condition     = google_monitoring_alert_policy.metric["late"].conditions[0].condition_threshold[0].threshold_value == 35
    error_message = "The alert on late events must fire before they expire."
  }
}

run "refuses_a_channel_by_another_name" {
  command = plan

  variables {
    alert_channels = ["on call"]
  }
  expect_failures = [var.alert_channels]
}
