# What the sink _Default does not store. Cloud Logging charges for what it stores, and
# more than half of an event's cost was its log.
#
# The metrics of Cloud Run do not come from its log, and user-defined log-based metrics
# count excluded lines too:
# https://cloud.google.com/logging/docs/logs-based-metrics#user-defined-metrics

locals {
  exclusions = merge(
    {
      # Each push has a line of SendEvent or RefreshShard, with more in it than Cloud Run's.
      # Refused calls have severity WARNING, such as those to which no instance could answer.
      gatepost-pushes = {
        description = "Cloud Run's own lines about the calls of Pub/Sub, except errors."
        functions   = ["refreshshard", "sendevent"]
        lines       = ["log_id(\"run.googleapis.com/requests\")", "severity<WARNING", "httpRequest.status<500"]
      }
    },
    var.exclude_accepted == 0 ? {} : {
      # sample decides by the value of the field:
      # https://cloud.google.com/logging/docs/view/logging-query-language#sample
      gatepost-accepted = {
        description = "Lines of accepted events, of a share of the customers."
        functions   = ["sendevent"]
        lines       = ["jsonPayload.outcome=\"accepted\"", "severity<WARNING", "sample(jsonPayload.customer, ${var.exclude_accepted})"]
      }
    },
  )
}

resource "google_logging_project_exclusion" "gatepost" {
  for_each = local.exclusions

  project     = local.project
  name        = each.key
  description = each.value.description
  filter = join(" AND ", concat(
    ["resource.labels.service_name=(${join(" OR ", [
      for service in setproduct(sort(keys(var.regions)), each.value.functions) : "\"gatepost-${lower(service[0])}-${service[1]}\""
    ])})"],
    each.value.lines,
  ))
}
