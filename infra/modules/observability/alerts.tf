# The alert policies. There are none without a notification channel. Each names its page
# in infra/playbooks, which says what to do. CRITICAL means that customers notice.
#
# Most are in PromQL: it divides one metric by another, and "or vector(0)" makes a series
# that never existed count as 0. Log-based metrics are unknown to Monitoring for up to ten
# minutes, so the metrics are not validated, or the first apply would fail. A policy
# with PromQL has one condition only:
# https://cloud.google.com/monitoring/promql/create-promql-alerts

locals {
  # In seconds.
  max_event_age = sum([
    for unit, seconds in { h = 3600, m = 60, s = 1 } : try(tonumber(regex("([0-9]+)${unit}", var.max_event_age)[0]), 0) * seconds
  ])

  # The functions whose calls Pub/Sub and Cloud Scheduler retry.
  repeated = [for service in local.services : service if !can(regex("-(acceptgrant|skillevent)$", service))]

  on_run = "monitored_resource=\"cloud_run_revision\""

  # The series of log-based metrics in PromQL, without the end of their labels: append }
  # or a comma, more labels and }.
  series = merge([
    for name in keys(local.all_metrics) : {
      for suffix in ["", "_bucket", "_count", "_sum"] :
      "${name}${suffix}" => "logging_googleapis_com:user_gatepost_${name}${suffix}{${local.on_run}"
    }
  ]...)
  calls     = "run_googleapis_com:request_count{${local.on_run}"
  answered  = "${local.calls},response_code_class=\"2xx\""
  instances = "run_googleapis_com:container_instance_count{${local.on_run}"
  busy      = "${local.instances},state=\"active\""
  sent      = "pubsub_googleapis_com:topic_message_sizes_count{monitored_resource=\"pubsub_topic\""
  forwarded = "pubsub_googleapis_com:subscription_dead_letter_message_count{monitored_resource=\"pubsub_subscription\""
  late      = "pubsub_googleapis_com:subscription_oldest_unacked_message_age{monitored_resource=\"pubsub_subscription\""
  waiting   = "pubsub_googleapis_com:subscription_num_undelivered_messages{monitored_resource=\"pubsub_subscription\""
  taken     = "pubsub_googleapis_com:subscription_push_request_count{monitored_resource=\"pubsub_subscription\",response_class=\"ack\""
  events    = "subscription_id=~\"${join("|", [for stack in var.stacks : stack.subscription])}\"}"
  letters   = "(${join("|", var.dead_letters)})"

  subscriptions = flatten([for stack in var.stacks : [stack.subscription, stack.refresh_subscription]])

  # Of the outcomes, the rest settles nothing (retry) or is for no grant here. An event
  # that one grant accepted and another did not is left out too.
  good = "accepted|duplicate|superseded|revoked"
  bad  = "suspended|expired|dead_letter|unconfirmed"

  # The objectives: budget is the allowed share of bad events. No burn-rate alert fires on
  # fewer events than least in the longer window, or a few bad ones would do. For fewer
  # there are refused-events and failed-links.
  objectives = {
    delivered = {
      title  = "events settled correctly"
      budget = 0.005
      least  = 400
      bad    = "${local.series.events},outcome=~\"${local.bad}\"}"
      all    = "${local.series.events},outcome=~\"${local.good}|${local.bad}\"}"
      good   = null
    }
    fresh = {
      title  = "events accepted within 3 s of publishing"
      budget = 0.05
      least  = 50
      bad    = null
      all    = "${local.series.delivered_ms_count}}"
      good   = "${local.series.delivered_ms_bucket},le=~\"3000(\\\\.0)?\"}"
    }
    linked = {
      title  = "successful links, refused codes excluded"
      budget = 0.01
      least  = 100
      bad    = "${local.series.links},outcome=\"failed\",failure!=\"code\"}"
      all    = "${local.series.links},failure!=\"code\"}"
      good   = null
    }
  }
  windows = ["5m", "15m", "30m", "1h", "6h"]

  # The share of bad ones, by objective and window.
  shares = {
    for name, slo in local.objectives : name => {
      for window in local.windows : window => (
        slo.bad != null
        ? "(sum by (region) (increase(${slo.bad}[${window}])) / sum by (region) (increase(${slo.all}[${window}])))"
        : "(1 - sum by (region) (increase(${slo.good}[${window}])) / sum by (region) (increase(${slo.all}[${window}])))"
      )
    }
  }

  # The budget of 28 days burns down within two days or five, in both windows: the
  # second, short one ends the alert when the cause is gone.
  # https://sre.google/workbook/alerting-on-slos/
  burns = {
    fast = { rate = 14.4, long = "1h", short = "5m", severity = "CRITICAL" }
    slow = { rate = 6, long = "6h", short = "30m", severity = "WARNING" }
  }

  burn_alerts = merge([
    for name, slo in local.objectives : {
      for speed, burn in local.burns : "slo-${name}-${speed}" => {
        title    = "Gatepost: too few ${slo.title} (${speed})"
        playbook = "error-budget"
        severity = burn.severity
        help     = "This objective's error budget, ${format("%.3g", slo.budget * 100)} %, is burning at ${burn.rate} times the allowed rate."
        query = join(" and ", [
          "${local.shares[name][burn.long]} > ${burn.rate * slo.budget}",
          "${local.shares[name][burn.short]} > ${burn.rate * slo.budget}",
          "sum by (region) (increase(${slo.all}[${burn.long}])) >= ${slo.least}",
        ])
      }
    }
  ]...)

  # Services by their greatest number of instances. RefreshShard has room for twice its
  # shards, and all its instances are busy in a large sweep: token-health tells of it.
  by_most = { for service, most in merge([
    for region, stack in var.stacks : {
      for name, most in stack.max_instances : "gatepost-${lower(region)}-${name}" => most if name != "refreshshard"
    }
  ]...) : most => service... }

  promql_alerts = merge(local.burn_alerts, local.no_sweep, local.no_canary, {
    refused-events = {
      title    = "Gatepost: Alexa refuses too many events"
      playbook = "refused-events"
      severity = "CRITICAL"
      help     = "In 15 minutes more than 20 events, and more than one in ten, failed for good; or in 6 hours 5 or more did, nearly all of them."
      query = join(" or ", [for window, limit in { "15m" = { share = 0.1, least = 21 }, "6h" = { share = 0.9, least = 5 } } : join(" and ", [
        "sum by (region) (increase(${local.objectives.delivered.bad}[${window}])) >= ${limit.least}",
        "${local.shares.delivered[window]} > ${limit.share}",
      ])])
    }
    failed-links = {
      title    = "Gatepost: too many links fail"
      playbook = "failed-links"
      severity = "CRITICAL"
      help     = "In 30 minutes 5 or more AcceptGrants failed, more than one in five; or in 12 hours 3 or more did, nearly all of them. Alexa sends a code only once: these customers have to link again."
      query = join(" or ", [for window, limit in { "30m" = { share = 0.2, least = 5 }, "12h" = { share = 0.9, least = 3 } } : join(" and ", [
        "sum by (region) (increase(${local.series.links},outcome=\"failed\"}[${window}])) >= ${limit.least}",
        join(" > ${limit.share} * ", [for what in [",outcome=\"failed\"", ""] : "sum by (region) (increase(${local.series.links}${what}}[${window}]))"]),
      ])])
    }
    # An event that is being retried is old too, and so are those of an endpoint that reports
    # faster than Alexa answers. So more must wait than are acknowledged in a minute; with
    # "unless" that holds too if none is. Pub/Sub gives up on an event within
    # three hours of attempts.
    late-events = {
      title    = "Gatepost: device events wait too long"
      playbook = "late-events"
      severity = "CRITICAL"
      help     = "More than 20 events are waiting, more than are handled in a minute; or one has waited for three hours. SendEvent is not receiving them, or they are being retried. Events older than max_event_age are no longer sent."
      query = join(" ", [
        "max by (subscription_id) (${local.late},${local.events}) > ${min(300, local.max_event_age / 2)}", # there is still time
        "and max by (subscription_id) (${local.waiting},${local.events}) > 20",
        "unless max by (subscription_id) (${local.waiting},${local.events}) <= 60 * sum by (subscription_id) (rate(${local.taken},${local.events}[10m]))",
        "or max by (subscription_id) (${local.late},${local.events}) > 10800",
      ])
    }
    dead-letters = {
      title    = "Gatepost: there are new dead letters"
      playbook = "dead-letters"
      severity = "WARNING"
      help     = "In the last 10 minutes device events could not be delivered, or shards were never acknowledged. They are kept for 7 days."
      query = join(" or ", [ # SendEvent's own letters, and those that Pub/Sub forwards
        "sum by (topic_id) (increase(${local.sent},topic_id=~\"${local.letters}\"}[10m])) > 0",
        "sum by (subscription_id) (increase(${local.forwarded},subscription_id=~\"${join("|", local.subscriptions)}\"}[10m])) > 0",
      ])
    }
    old-dead-letters = {
      title    = "Gatepost: there are dead letters more than a day old"
      playbook = "dead-letters"
      severity = "WARNING"
      help     = "Pub/Sub deletes them after 7 days."
      query    = "max by (subscription_id) (${local.late},subscription_id=~\"${local.letters}\"}) > 86400"
    }
    token-health = {
      title    = "Gatepost: events refresh their own tokens"
      playbook = "token-health"
      severity = "WARNING"
      help     = "For 30 minutes more than one event in twenty found an expired token: sweeps are not keeping up, which slows events down."
      query = join(" and ", [
        "sum by (region) (increase(${local.series.renewed}}[30m])) > 20",
        join(" > 0.05 * ", [
          for what in ["${local.series.renewed}}", "${local.series.events},outcome=\"accepted\"}"] :
          "sum by (region) (increase(${what}[30m]))"
        ]),
      ])
    }
    sweeps-behind = {
      title    = "Gatepost: sweeps are behind"
      playbook = "token-health"
      severity = "WARNING"
      help     = "In each of the last three periods of five minutes, a shard was late or unfinished."
      query = join(" and ", [
        for offset in ["", " offset 5m", " offset 10m"] : "sum by (region) (increase(${local.series.shards_behind}}[5m]${offset})) > 0"
      ])
    }
    instances = {
      title    = "Gatepost: a function is at its instance limit"
      playbook = "instances"
      severity = "WARNING"
      help     = "It has been at max_instances for 10 minutes. Further calls wait, or are refused with 429."
      query = join(" or ", [
        for most, services in local.by_most :
        "sum by (service_name) (min_over_time(${local.busy},service_name=~\"${join("|", services)}\"}[10m])) >= ${most}"
      ])
    }
  })

  # The alerts on what is missing. They wait for ten minutes: the first sweep of a new
  # stack begins after five, and Monitoring may show it four minutes later. With the window
  # that makes 16 minutes in all. As they always have data, no lack of it closes them. The
  # limit is a half, because Monitoring interpolates.
  no_sweep = {
    for region in keys(var.stacks) : "no-sweep-${lower(region)}" => {
      title    = "Gatepost: no sweep has begun for 15 minutes in ${region}"
      playbook = "no-sweep"
      severity = "CRITICAL"
      help     = "RefreshTokens was not called, or its calls failed."
      query    = "(sum(increase(${local.answered},service_name=\"gatepost-${lower(region)}-refreshtokens\"}[6m])) or vector(0)) < 0.5"
    }
  }
  no_canary = {
    for region in keys(var.canary) : "canary-${lower(region)}" => {
      title    = "Gatepost: no canary report has arrived for 15 minutes in ${region}"
      playbook = "canary"
      severity = "CRITICAL"
      help     = "The gateway accepted none of the last three reports."
      query    = "(sum(increase(${local.series.canary},region=\"${lower(region)}\"}[6m])) or vector(0)) < 0.5"
    }
  }
  missing = concat(keys(local.no_sweep), keys(local.no_canary))

  metric_alerts = {
    late-shards = {
      title         = "Gatepost: shards wait too long"
      playbook      = "late-shards"
      severity      = "WARNING"
      subscriptions = [for stack in var.stacks : stack.refresh_subscription]
      above         = 300
      help          = "A shard has waited for RefreshShard for more than 5 minutes. Access tokens are due for a refresh 13 minutes or more before they expire."
    }
  }

  log_alerts = merge({
    errors = {
      title    = "Gatepost: a function reports an error"
      playbook = "errors"
      severity = "ERROR"
      # A function writes one line for each request, with severity ERROR if a
      # person should look. Cloud Run's own line about a request has ERROR for
      # every 5xx. A retried function uses 503 to get a retry, so that is no
      # alert. For the other functions Cloud Run's line, such as that of a 429, may be
      # the only one, since the request may not have reached the function. Dead letters
      # have alerts of their own.
      filter = join(" AND ", [
        "resource.type=\"cloud_run_revision\"",
        "resource.labels.service_name=(${join(" OR ", formatlist("\"%s\"", local.services))})",
        "(severity>=ERROR OR httpRequest.status=429)",
        "NOT jsonPayload.outcome=\"dead_letter\"",
        "NOT (log_id(\"run.googleapis.com/requests\") AND resource.labels.service_name=(${join(" OR ", formatlist("\"%s\"", local.repeated))}))",
      ])
      source = "EXTRACT(resource.labels.service_name)"
      help   = "The line's error field, or one whose name begins with error_, says what is wrong."
    }
    }, !var.keyset_alert ? {} : {
    keyset-access = {
      title    = "Gatepost: a keyset was read"
      playbook = "keyset-access"
      severity = "CRITICAL"
      filter = join(" AND ", [
        "log_id(\"cloudaudit.googleapis.com/data_access\")",
        "protoPayload.methodName:\"SecretManagerService.AccessSecretVersion\"", # of each version of the API
        "protoPayload.resourceName:\"/secrets/gatepost-token-keyset-\"",
        "NOT protoPayload.authenticationInfo.principalEmail=(${join(" OR ", [
          for service in local.services : "\"${service}@${var.project_id}.iam.gserviceaccount.com\"" if can(regex("-(acceptgrant|refreshshard|sendevent)$", service))
        ])})",
      ])
      source = "EXTRACT(protoPayload.authenticationInfo.principalEmail)"
      help   = "A principal other than the functions read the keyset that opens every customer's tokens."
    }
  })

  notified = length(var.alert_channels) > 0
}

resource "google_monitoring_alert_policy" "promql" {
  for_each = local.notified ? local.promql_alerts : {}

  project               = var.project_id
  display_name          = each.value.title
  combiner              = "OR"
  notification_channels = var.alert_channels
  severity              = each.value.severity
  user_labels           = var.labels

  conditions {
    display_name = each.value.title
    condition_prometheus_query_language {
      query                     = each.value.query
      duration                  = contains(local.missing, each.key) ? "600s" : "0s"
      evaluation_interval       = "60s" # each evaluation is billed
      disable_metric_validation = true
    }
  }

  alert_strategy {
    auto_close = contains(local.missing, each.key) ? "604800s" : "1800s"
  }

  documentation {
    content   = "${each.value.help}\n\nPlaybook: infra/playbooks/${each.value.playbook}.md"
    mime_type = "text/markdown"
  }

  depends_on = [google_logging_metric.gatepost]
}

resource "google_monitoring_alert_policy" "metric" {
  for_each = local.notified ? local.metric_alerts : {}

  project               = var.project_id
  display_name          = each.value.title
  combiner              = "OR"
  notification_channels = var.alert_channels
  severity              = each.value.severity
  user_labels           = var.labels

  # https://cloud.google.com/pubsub/docs/monitoring
  conditions {
    display_name = each.value.title
    condition_threshold {
      filter = join(" AND ", [
        "resource.type = \"pubsub_subscription\"",
        "resource.labels.subscription_id = one_of(${join(", ", formatlist("\"%s\"", each.value.subscriptions))})",
        "metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\"", # in seconds
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
    content   = "${each.value.help}\n\nPlaybook: infra/playbooks/${each.value.playbook}.md"
    mime_type = "text/markdown"
  }
}

resource "google_monitoring_alert_policy" "log" {
  for_each = local.notified ? local.log_alerts : {}

  project               = var.project_id
  display_name          = each.value.title
  combiner              = "OR"
  notification_channels = var.alert_channels
  severity              = each.value.severity
  user_labels           = var.labels

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
    content   = "${each.value.help}\n\nPlaybook: infra/playbooks/${each.value.playbook}.md"
    mime_type = "text/markdown"
  }
}

# Without it Secret Manager does not log who reads a secret.
resource "google_project_iam_audit_config" "secrets" {
  count = var.keyset_alert ? 1 : 0

  project = var.project_id
  service = "secretmanager.googleapis.com"

  audit_log_config {
    log_type = "DATA_READ"
  }
}

resource "google_project_service" "budgets" {
  count = var.budget == null ? 0 : 1

  project            = var.project_id
  service            = "billingbudgets.googleapis.com"
  disable_on_destroy = false # other parts of the project may use it
}

# Its mails go to the billing account's administrators. Budgets take no channels but
# those of the type email.
resource "google_billing_budget" "project" {
  count = var.budget == null ? 0 : 1

  billing_account = var.budget.billing_account
  display_name    = "Gatepost (infra/playbooks/budget.md)"

  budget_filter {
    projects = ["projects/${var.project_number}"]
  }
  amount {
    specified_amount {
      units = tostring(var.budget.amount)
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.2]
    content {
      threshold_percent = threshold_rules.value
    }
  }

  depends_on = [google_project_service.budgets]
}
