# Who is told when something is wrong, for nobody watches what runs by itself.
# Two kinds of policies, each from a table; none without a channel to tell.

locals {
  services = flatten([for region, stack in module.stack : formatlist("gatepost-%s-%s", lower(region), keys(stack.urls))])
  jobs     = [for region in keys(var.regions) : "gatepost-${lower(region)}-refresh"]

  log_alerts = {
    errors = {
      title = "Gatepost: a function reports an error"
      # A function writes one line for each request, and gives it severity ERROR
      # when a person should look. Cloud Run's own line about a request has it
      # as well for every 503, which only asks Pub/Sub for redelivery.
      filter = join(" AND ", [
        "resource.type=\"cloud_run_revision\"",
        "resource.labels.service_name=(${join(" OR ", formatlist("\"%s\"", local.services))})",
        "severity>=ERROR",
        "NOT log_id(\"run.googleapis.com/requests\")",
      ])
      source = "EXTRACT(resource.labels.service_name)"
      help   = "The line's field error says what is wrong. Most often it is something of ours: client credentials that Login with Amazon refuses, a secret or a database that cannot be read. Events wait meanwhile, or become dead letters."
    }
    scheduler = {
      title = "Gatepost: a sweep could not be started"
      # Cloud Scheduler ends each attempt with a line AttemptFinished, of
      # severity ERROR if it failed.
      filter = join(" AND ", [
        "resource.type=\"cloud_scheduler_job\"",
        "resource.labels.job_id=(${join(" OR ", formatlist("\"%s\"", local.jobs))})",
        "severity>=ERROR",
      ])
      source = "EXTRACT(resource.labels.job_id)"
      help   = "Cloud Scheduler's call of RefreshTokens failed. Access tokens are refreshed 10 to 30 minutes before they expire. Once they have expired each event refreshes its own, and is slower for it."
    }
  }

  metric_alerts = {
    late = {
      title         = "Gatepost: device events wait for more than 5 minutes"
      subscriptions = [for stack in module.stack : stack.subscription]
      metric        = "oldest_unacked_message_age" # in seconds
      above         = 300
      help          = "SendEvent does not take them, or asks for them again: look at its log, at the gateway's answers in it, and at scaling. Those older than max_event_age are not sent any more, and their endpoints are announced as stale."
    }
    dead_letters = {
      title         = "Gatepost: there are dead letters"
      subscriptions = [google_pubsub_subscription.dead_letters["dead-letters"].name]
      metric        = "num_undelivered_messages"
      above         = 0
      help          = "Device events that could not be delivered, each with the reason in its attributes. They are kept for 7 days: go run ./scripts/replay lists them, and publishes them again once what made them fail has been mended."
    }
  }
}

resource "google_monitoring_alert_policy" "log" {
  for_each = length(var.alert_channels) > 0 ? local.log_alerts : {}

  project               = local.project
  display_name          = each.value.title
  combiner              = "OR"
  notification_channels = var.alert_channels

  conditions {
    display_name = each.value.title
    condition_matched_log {
      filter           = each.value.filter
      label_extractors = { source = each.value.source } # told of each by itself
    }
  }

  # A fault of a whole region is a line for every event.
  alert_strategy {
    auto_close = "1800s"
    notification_rate_limit {
      period = "1800s"
    }
  }

  documentation {
    content   = each.value.help
    mime_type = "text/markdown"
  }
}

resource "google_monitoring_alert_policy" "metric" {
  for_each = length(var.alert_channels) > 0 ? local.metric_alerts : {}

  project               = local.project
  display_name          = each.value.title
  combiner              = "OR"
  notification_channels = var.alert_channels

  # https://cloud.google.com/pubsub/docs/monitoring
  conditions {
    display_name = each.value.title
    condition_threshold {
      filter = join(" AND ", [
        "resource.type = \"pubsub_subscription\"",
        "resource.labels.subscription_id = one_of(${join(", ", formatlist("\"%s\"", each.value.subscriptions))})",
        "metric.type = \"pubsub.googleapis.com/subscription/${each.value.metric}\"",
      ])
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.above
      duration        = "0s"

      aggregations {
        alignment_period   = "60s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  alert_strategy {
    auto_close = "1800s"
  }

  documentation {
    content   = each.value.help
    mime_type = "text/markdown"
  }
}
