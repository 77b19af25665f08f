# Planned by the real provider, which checks more than a mock. It has no credentials and
# makes no calls.

provider "google" {
  project      = "maker-prod"
  access_token = "fake"
}

variables {
  project_id     = "maker-prod"
  project_number = "123456789012"
  max_event_age  = "5m"
  dead_letters   = ["dead-letters", "refresh-dead-letters"]
  stacks = {
    for region, location in { NA = "us-east4", EU = "europe-west1" } : region => {
      location                   = location
      device_events              = "device-events"
      subscription               = "gatepost-${lower(region)}-device-events"
      refresh_subscription       = "gatepost-${lower(region)}-refresh"
      database                   = "gatepost-${lower(region)}"
      max_instances              = { acceptgrant = 10, refreshshard = 10, refreshtokens = 2, sendevent = 10, skillevent = 10 }
    }
  }
}

# What costs money, or may: see the prices in infra/README.md.
run "defaults" {
  command = plan

  assert {
    condition = (
      length(google_monitoring_alert_policy.promql) + length(google_monitoring_alert_policy.metric) + length(google_monitoring_alert_policy.log) == 0 &&
      length(google_cloud_scheduler_job.canary) == 0 && length(google_monitoring_slo.objective) == 0 && length(google_monitoring_custom_service.stack) == 0 &&
      length(google_project_iam_audit_config.secrets) == 0 && length(google_billing_budget.project) == 0 && length(google_project_service.budgets) == 0
    )
    error_message = "By default there are no alerts without a channel, and no canary, SLO, audit log and budget."
  }
  assert {
    condition     = length(google_logging_metric.gatepost) == 18 && keys(google_monitoring_dashboard.stack) == ["EU", "NA"]
    error_message = "By default there are 18 log-based metrics, and a dashboard for each stack."
  }
  assert {
    condition = { for name, metric in google_logging_metric.gatepost : name => join(" ", sort([for label in metric.metric_descriptor[0].labels : label.key])) } == {
      for name, labels in {
        announce_errors = ["function"], braked = [], breaker = ["breaker", "to"], delivered_ms = [], event_age_ms = [], events = ["kind", "outcome"]
        failed          = [], gateway_ms = [], links = ["failure", "outcome"], lwa_ms = ["function"], noted_behind = [], refreshed = [], refusals = ["code"]
        refused         = [], renewed = [], revoked = [], shards_behind = [], skill_events = ["kind", "outcome"]
      } : name => join(" ", sort(concat(labels, ["region"])))
    }
    error_message = "No label may name a customer, an endpoint, a grant or an event; each value of a label is a time series that is billed."
  }
  assert {
    condition = alltrue([for metric in google_logging_metric.gatepost : (
      toset(keys(metric.label_extractors)) == toset([for label in metric.metric_descriptor[0].labels : label.key]) &&
      (metric.value_extractor == null) == (metric.metric_descriptor[0].value_type == "INT64") &&
      startswith(metric.filter, "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=(\"gatepost-eu-acceptgrant\" OR ")
    )])
    error_message = "Each metric must be of the stacks' functions, with an extractor for each label, and a value if it is a distribution."
  }
  assert {
    condition     = contains(google_logging_metric.gatepost["delivered_ms"].bucket_options[0].explicit_buckets[0].bounds, 3000)
    error_message = "The objective of 3 seconds needs a bucket that ends there."
  }
}

run "dashboards" {
  command = plan

  # Google's limit is higher than this, and nobody reads more.
  assert {
    condition     = alltrue([for dashboard in google_monitoring_dashboard.stack : length(jsondecode(dashboard.dashboard_json).mosaicLayout.tiles) <= 40])
    error_message = "A dashboard may have at most 40 widgets."
  }
  assert {
    condition = [
      for tile in jsondecode(google_monitoring_dashboard.stack["EU"].dashboard_json).mosaicLayout.tiles : tile.widget.title if can(tile.widget.sectionHeader)
    ] == ["Is Alexa informed?", "Links", "Tokens", "Queue", "Cost drivers"]
    error_message = "The sections differ."
  }
  assert {
    condition = alltrue([for region, dashboard in google_monitoring_dashboard.stack : (
      !can(regex("STACK|EVENTS|SHARDS|DATABASE|-${region == "EU" ? "na" : "eu"}-|\"[xy]Pos\":0", dashboard.dashboard_json))
    )])
    error_message = "A dashboard must be of its stack alone, and without zeros, which the API leaves out."
  }
  # https://cloud.google.com/monitoring/api/ref_v3/rest/v1/projects.dashboards#dataset
  assert {
    condition = alltrue(flatten([
      for tile in jsondecode(google_monitoring_dashboard.stack["EU"].dashboard_json).mosaicLayout.tiles : [
        for set in try(tile.widget.xyChart.dataSets, []) : [
          for label in regexall("[{]+[^}]*}+", set.legendTemplate) :
          contains(split(", ", try(regex(" by [(]([a-z_, ]+)[)]", set.timeSeriesQuery.prometheusQuery)[0], "")), try(regex("^{labels[.](\\w+)}$", label)[0], label))
        ]
      ]
    ]))
    error_message = "A legend must name its series as Google does, $${labels.x}, by labels that the query keeps."
  }
  # Tiles neither overlap nor leave the grid.
  assert {
    condition = alltrue(flatten([for tiles in [jsondecode(google_monitoring_dashboard.stack["EU"].dashboard_json).mosaicLayout.tiles] : [
      for i, one in tiles : [
        for j, other in tiles : (
          i == j && try(one.xPos, 0) + one.width <= 48 || i != j && (
            try(one.xPos, 0) + one.width <= try(other.xPos, 0) || try(other.xPos, 0) + other.width <= try(one.xPos, 0) ||
            try(one.yPos, 0) + one.height <= try(other.yPos, 0) || try(other.yPos, 0) + other.height <= try(one.yPos, 0)
          )
        )
      ]
    ]]))
    error_message = "The tiles overlap."
  }
  assert {
    condition = length(setsubtract(regexall("[a-z]+_googleapis_com:\\w+", google_monitoring_dashboard.stack["EU"].dashboard_json),
      concat(flatten([for name in keys(google_logging_metric.gatepost) : [
        for suffix in ["", "_bucket", "_count", "_sum"] : "logging_googleapis_com:user_gatepost_${name}${suffix}"
        ]]), [
        "firestore_googleapis_com:document_delete_ops_count", "firestore_googleapis_com:document_read_ops_count",
        "firestore_googleapis_com:document_write_ops_count", "logging_googleapis_com:byte_count",
        "pubsub_googleapis_com:subscription_num_undelivered_messages", "pubsub_googleapis_com:subscription_oldest_unacked_message_age",
        "run_googleapis_com:container_instance_count", "run_googleapis_com:request_count",
    ]))) == 0
    error_message = "A chart may only show metrics that exist."
  }
  assert {
    condition = alltrue([for name in keys(google_logging_metric.gatepost) :
      strcontains(google_monitoring_dashboard.stack["EU"].dashboard_json, "user_gatepost_${name}")
    ])
    error_message = "A metric that no chart shows is in nobody's way, and is billed."
  }
}

run "alerts" {
  command = plan

  variables {
    labels         = { team = "smart-home" }
    alert_channels = ["projects/maker-prod/notificationChannels/1", "projects/maker-prod/notificationChannels/2"]
  }

  assert {
    condition = (
      keys(google_monitoring_alert_policy.promql) == [
        "dead-letters", "failed-links", "instances", "late-events", "no-sweep-eu", "no-sweep-na", "old-dead-letters", "refused-events",
        "slo-delivered-fast", "slo-delivered-slow", "slo-fresh-fast", "slo-fresh-slow", "slo-linked-fast", "slo-linked-slow",
        "sweeps-behind", "token-health",
      ] &&
      keys(google_monitoring_alert_policy.metric) == ["late-shards"] && keys(google_monitoring_alert_policy.log) == ["errors"]
    )
    error_message = "The alerts differ."
  }
  assert {
    condition = alltrue([for policy in concat(values(google_monitoring_alert_policy.log), values(google_monitoring_alert_policy.metric), values(google_monitoring_alert_policy.promql)) : (
      policy.notification_channels == tolist(var.alert_channels) && policy.user_labels == tomap({ team = "smart-home" }) && policy.severity != null &&
      can(regex("^[A-Z].+\\.\n\nPlaybook: infra/playbooks/[a-z-]+\\.md$", policy.documentation[0].content))
    )])
    error_message = "Every alert must notify all channels, have a severity, the labels and its playbook, and say what has happened."
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.promql["slo-delivered-fast"].documentation[0].content, "budget, 0.5 %, is burning at 14.4 times the allowed rate")
    error_message = "The text must have the budget in few digits."
  }
  # Each condition, and each series at each evaluation, is billed.
  assert {
    condition = alltrue([for policy in google_monitoring_alert_policy.promql :
      length(policy.conditions) == 1 && policy.conditions[0].condition_prometheus_query_language[0].evaluation_interval == "60s"
    ])
    error_message = "A policy must have one condition, evaluated once a minute."
  }
  assert {
    condition = alltrue(flatten([for name, policy in google_monitoring_alert_policy.promql : [
      for condition in policy.conditions : (
        condition.condition_prometheus_query_language[0].disable_metric_validation &&
        length(setsubtract(regexall("[a-z]+_googleapis_com:\\w+", condition.condition_prometheus_query_language[0].query), concat(flatten([
          for metric in keys(google_logging_metric.gatepost) : [
            for suffix in ["", "_bucket", "_count"] : "logging_googleapis_com:user_gatepost_${metric}${suffix}"
          ]
          ]), [
          "pubsub_googleapis_com:subscription_dead_letter_message_count", "pubsub_googleapis_com:subscription_num_undelivered_messages",
          "pubsub_googleapis_com:subscription_oldest_unacked_message_age", "pubsub_googleapis_com:subscription_push_request_count",
          "pubsub_googleapis_com:topic_message_sizes_count",
          "run_googleapis_com:container_instance_count", "run_googleapis_com:request_count",
        ]))) == 0
      )
    ]]))
    error_message = "An alert may only be about metrics that exist, though Google does not know them at the first apply."
  }
  # What is missing must alert if it never was, stay open without data, and be silent at
  # the first apply.
  assert {
    condition = (
      google_monitoring_alert_policy.promql["no-sweep-eu"].conditions[0].condition_prometheus_query_language[0].query ==
      "(sum(increase(run_googleapis_com:request_count{monitored_resource=\"cloud_run_revision\",response_code_class=\"2xx\",service_name=\"gatepost-eu-refreshtokens\"}[6m])) or vector(0)) < 0.5" &&
      { for name, policy in google_monitoring_alert_policy.promql : name => policy.alert_strategy[0].auto_close
        if policy.conditions[0].condition_prometheus_query_language[0].duration == "600s" || policy.alert_strategy[0].auto_close != "1800s"
      } == { no-sweep-eu = "604800s", no-sweep-na = "604800s" }
    )
    error_message = "A sweep that never began must alert too."
  }
  assert {
    condition = { for name, policy in google_monitoring_alert_policy.promql : name => join(" ", concat([policy.severity],
      regexall("> [0-9.]+|>= [0-9]+|\\[\\w+\\]", policy.conditions[0].condition_prometheus_query_language[0].query))) if startswith(name, "slo-linked")
      } == {
      slo-linked-fast = "CRITICAL [1h] [1h] > 0.144 [5m] [5m] > 0.144 [1h] >= 100"
      slo-linked-slow = "WARNING [6h] [6h] > 0.06 [30m] [30m] > 0.06 [6h] >= 100"
    }
    error_message = "A burn rate is 14.4 and 6 times the budget, in a long and a short window."
  }
  assert {
    condition = google_monitoring_alert_policy.log["errors"].conditions[0].condition_matched_log[0].filter == join(" AND ", [
      "resource.type=\"cloud_run_revision\"",
      "resource.labels.service_name=(${join(" OR ", [for name in [
        "eu-acceptgrant", "eu-refreshshard", "eu-refreshtokens", "eu-sendevent", "eu-skillevent",
        "na-acceptgrant", "na-refreshshard", "na-refreshtokens", "na-sendevent", "na-skillevent",
      ] : "\"gatepost-${name}\""])})",
      "(severity>=ERROR OR httpRequest.status=429)",
      "NOT jsonPayload.outcome=\"dead_letter\"",
      "NOT (log_id(\"run.googleapis.com/requests\") AND resource.labels.service_name=(${join(" OR ", [for name in [
        "eu-refreshshard", "eu-refreshtokens", "eu-sendevent", "na-refreshshard", "na-refreshtokens", "na-sendevent",
      ] : "\"gatepost-${name}\""])}))",
    ])
    error_message = "The alert must cover errors of every function and requests without an answer, except retries and dead letters."
  }
  assert {
    condition     = alltrue([for policy in google_monitoring_alert_policy.log : policy.alert_strategy[0].notification_rate_limit[0].period == "1800s"])
    error_message = "A fault with a line for every event must not send a notification for every line."
  }
  assert {
    condition = { for name, policy in google_monitoring_alert_policy.metric : name => join(" ", [
      policy.conditions[0].condition_threshold[0].filter, policy.conditions[0].condition_threshold[0].comparison, policy.conditions[0].condition_threshold[0].threshold_value,
      ]) } == {
      late-shards = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = one_of(\"gatepost-eu-refresh\", \"gatepost-na-refresh\") AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" COMPARISON_GT 300"
    }
    error_message = "The alert must cover shards that wait for 5 minutes."
  }
}

run "events_that_may_be_older" {
  command = plan

  variables {
    alert_channels = ["projects/maker-prod/notificationChannels/1"]
    max_event_age  = "1h30m"
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.promql["late-events"].conditions[0].condition_prometheus_query_language[0].query, ") > 300 and ")
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
    condition     = strcontains(google_monitoring_alert_policy.promql["late-events"].conditions[0].condition_prometheus_query_language[0].query, ") > 35 and ")
    error_message = "The alert on late events must fire before they expire."
  }
}

run "switches" {
  command = plan

  variables {
    alert_channels = ["projects/maker-prod/notificationChannels/1"]
    budget         = { billing_account = "012345-567890-ABCDEF", amount = 100 }
    canary         = { EU = { user_id = "canary-eu", endpoint_id = "lamp-1" } }
    keyset_alert   = true
    slo            = true
  }

  assert {
    condition = (
      google_cloud_scheduler_job.canary["EU"].region == "europe-west1" &&
      google_cloud_scheduler_job.canary["EU"].pubsub_target[0].topic_name == "projects/maker-prod/topics/device-events" &&
      google_cloud_scheduler_job.canary["EU"].pubsub_target[0].attributes == tomap({ region = "EU" }) &&
      jsondecode(base64decode(google_cloud_scheduler_job.canary["EU"].pubsub_target[0].data)).userId == "canary-eu" &&
      !can(regex("timeOfSample|eventId", base64decode(google_cloud_scheduler_job.canary["EU"].pubsub_target[0].data)))
    )
    error_message = "The canary's report must be the customer's, on the topic, and new each time."
  }
  assert {
    condition = (
      endswith(google_logging_metric.gatepost["canary"].filter, "jsonPayload.outcome=\"accepted\" AND jsonPayload.customer=(\"${substr(sha256("canary-eu"), 0, 16)}\")") &&
      google_monitoring_alert_policy.promql["canary-eu"].conditions[0].condition_prometheus_query_language[0].query ==
      "(sum(increase(logging_googleapis_com:user_gatepost_canary{monitored_resource=\"cloud_run_revision\",region=\"eu\"}[6m])) or vector(0)) < 0.5" &&
      google_monitoring_alert_policy.promql["canary-eu"].alert_strategy[0].auto_close == "604800s"
    )
    error_message = "The alert must be on the canary's customer, and must cover a report that never came."
  }
  assert {
    condition     = google_project_iam_audit_config.secrets[0].service == "secretmanager.googleapis.com" && strcontains(google_monitoring_alert_policy.log["keyset-access"].conditions[0].condition_matched_log[0].filter, "NOT protoPayload.authenticationInfo.principalEmail=(\"gatepost-eu-acceptgrant@maker-prod.iam.gserviceaccount.com\" OR ")
    error_message = "Reads of a keyset must be logged, and those of the functions be left out."
  }
  assert {
    condition     = google_billing_budget.project[0].amount[0].specified_amount[0].units == "100" && [for rule in google_billing_budget.project[0].threshold_rules : rule.threshold_percent] == [0.5, 0.9, 1.2]
    error_message = "The budget differs."
  }
  assert {
    condition = (
      { for name, slo in google_monitoring_slo.objective : name => slo.goal } == {
        EU-delivered = 0.995, EU-fresh = 0.95, EU-linked = 0.99, NA-delivered = 0.995, NA-fresh = 0.95, NA-linked = 0.99
      } &&
      google_monitoring_slo.objective["EU-fresh"].request_based_sli[0].distribution_cut[0].range[0].max == 3000
    )
    error_message = "The objectives differ."
  }
  assert {
    condition = alltrue([for slo in google_monitoring_slo.objective : length(setsubtract(
      flatten(regexall("logging\\.googleapis\\.com/user/gatepost_(\\w+)", jsonencode(slo.request_based_sli))), keys(google_logging_metric.gatepost)
    )) == 0])
    error_message = "An objective may only be about metrics that exist."
  }
}

run "refuses_what_cannot_be" {
  command = plan

  variables {
    budget = { billing_account = "billingAccounts/1", amount = 0 }
    canary = { EU = { user_id = "", endpoint_id = "lamp-1" } }
  }
  expect_failures = [var.budget, var.canary]
}

run "refuses_a_canary_elsewhere" {
  command = plan

  variables {
    canary = { FE = { user_id = "canary-fe", endpoint_id = "lamp-1" } }
  }
  expect_failures = [google_cloud_scheduler_job.canary]
}
