# The alert policies, of three kinds. There are none without a notification
# channel.

locals {
  services = flatten([for region, stack in module.google.stacks : formatlist("gatepost-%s-%s", lower(region), keys(stack.urls))])

  # The functions whose calls Pub/Sub and Cloud Scheduler retry.
  repeated = [for service in local.services : service if !can(regex("-(acceptgrant|skillevent)$", service))]

  log_alerts = {
    errors = {
      title = "Gatepost: a function reports an error"
      # A function writes one line for each request, with severity ERROR if a
      # person should look. Cloud Run's own line about a request has ERROR for
      # every 5xx. A retried function uses 503 to get a retry, so that is no
      # alert. For the other functions, and for a 429, Cloud Run's line may be the
      # only one, since the request may not have reached the function.
      filter = join(" AND ", [
        "resource.type=\"cloud_run_revision\"",
        "resource.labels.service_name=(${join(" OR ", formatlist("\"%s\"", local.services))})",
        "(severity>=ERROR OR httpRequest.status=429)",
        "NOT (log_id(\"run.googleapis.com/requests\") AND resource.labels.service_name=(${join(" OR ", formatlist("\"%s\"", local.repeated))}))",
      ])
      source = "EXTRACT(resource.labels.service_name)"
      help   = "The line's field error, or one whose name begins with error_, says what is wrong. Most often it is something of ours: client credentials that Login with Amazon refuses, a secret or a database that cannot be read. With error_brake, Login with Amazon refuses so many grants that none is revoked: go run ./scripts/gatepost grants brake shows more. Events wait meanwhile, or become dead letters; a customer whose AcceptGrant failed has to link the skill again. A line without either is Cloud Run's own, about a request that no function answered: with status 429 there were too few instances, see scaling."
    }
  }

  # In seconds.
  max_event_age = sum([
    for unit, seconds in { h = 3600, m = 60, s = 1 } : try(tonumber(regex("([0-9]+)${unit}", module.google.max_event_age)[0]), 0) * seconds
  ])

  metric_alerts = {
    late = {
      title         = "Gatepost: device events wait too long"
      subscriptions = module.google.subscriptions.device_events
      metric        = "oldest_unacked_message_age"      # in seconds
      above         = min(300, local.max_event_age / 2) # there is still time
      help          = "SendEvent does not take them, or asks for them again: look at its log, at the gateway's answers in it, and at scaling. Those older than max_event_age are not sent any more, and their endpoints are announced as stale."
    }
    late_shards = {
      title         = "Gatepost: shards wait for more than 5 minutes"
      subscriptions = module.google.subscriptions.refresh
      metric        = "oldest_unacked_message_age"
      above         = 300
      help          = "RefreshShard does not take them: look at its log. Access tokens are due for a refresh 13 minutes or more before they expire. Once they have expired each event refreshes its own, and is slower for it."
    }
    dead_letters = {
      title         = "Gatepost: there are dead letters"
      subscriptions = module.google.subscriptions.dead_letters
      metric        = "num_undelivered_messages"
      above         = 0
      help          = "In dead-letters: device events that could not be delivered, each with the reason in its attributes. They are kept for 7 days: go run ./scripts/gatepost replay lists them, and publishes them again once what made them fail has been mended. In refresh-dead-letters: shards that RefreshShard did not take ten times. Its log says why; the shards themselves are worth nothing any more, and gcloud pubsub subscriptions seek refresh-dead-letters --time=$(date -u +%FT%TZ) drops them."
    }
  }
}

resource "google_monitoring_alert_policy" "log" {
  for_each = length(var.alert_channels) > 0 ? local.log_alerts : {}

  project               = module.google.project
  display_name          = each.value.title
  combiner              = "OR"
  notification_channels = var.alert_channels

  conditions {
    display_name = each.value.title
    condition_matched_log {
      filter           = each.value.filter
      label_extractors = { source = each.value.source } # one alert for each
    }
  }

  # A fault of a whole region logs a line for every event.
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

  project               = module.google.project
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

# RefreshTokens is called at least every 5 minutes. The alert is on the absence of a
# successful call, because a log has no line for a call that was not made.
resource "google_monitoring_alert_policy" "sweep" {
  for_each = toset(length(var.alert_channels) > 0 ? keys(var.regions) : [])

  project               = module.google.project
  display_name          = "Gatepost: no sweep began in ${each.key} for 15 minutes"
  combiner              = "OR"
  notification_channels = var.alert_channels

  # https://cloud.google.com/monitoring/api/metrics_gcp_p_z#gcp-run
  conditions {
    display_name = "No successful call of RefreshTokens"
    condition_absent {
      filter = join(" AND ", [
        "resource.type = \"cloud_run_revision\"",
        "resource.labels.service_name = \"gatepost-${lower(each.key)}-refreshtokens\"",
        "metric.type = \"run.googleapis.com/request_count\"",
        "metric.labels.response_code_class = \"2xx\"",
      ])
      duration = "900s"

      # Of all revisions together: an old one gets no calls any more.
      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  alert_strategy {
    auto_close = "1800s"
  }

  documentation {
    content   = "Cloud Scheduler does not call RefreshTokens, or gets no good answer: look at the job gatepost-${lower(each.key)}-refresh, its last result and whether it is paused, and at the log of RefreshTokens. Access tokens are due for a refresh 13 minutes or more before they expire. Once they have expired each event refreshes its own, and is slower for it; announcements that could not be published wait for a sweep."
    mime_type = "text/markdown"
  }
}
