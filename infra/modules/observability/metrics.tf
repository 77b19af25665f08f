# The log-based metrics of all stacks, for alerts and dashboards. metrics.tf.json defines
# what they count. No label names a customer, an endpoint or an event: each value of a
# label is a time series of its own, and is kept for two years.

locals {
  services = flatten([for region, stack in var.stacks : formatlist("gatepost-%s-%s", lower(region), keys(stack.max_instances))])

  # A log names a customer by the first 16 digits of this hash.
  canaries = [for canary in var.canary : substr(sha256(canary.user_id), 0, 16)]

  all_metrics = merge(local.metrics, length(var.canary) == 0 ? {} : {
    canary = {
      description = "Reports of the canaries that the gateway accepted."
      where = [
        "jsonPayload.function=\"SendEvent\"", "jsonPayload.outcome=\"accepted\"",
        "jsonPayload.customer=(${join(" OR ", formatlist("\"%s\"", local.canaries))})",
      ]
      labels = {}
    }
  })
}

resource "google_logging_metric" "gatepost" {
  for_each = local.all_metrics

  project     = var.project_id
  name        = "gatepost_${each.key}"
  description = each.value.description
  filter = join(" AND ", concat([
    "resource.type=\"cloud_run_revision\"",
    "resource.labels.service_name=(${join(" OR ", formatlist("\"%s\"", local.services))})",
  ], each.value.where))

  value_extractor = try(each.value.value, null)
  label_extractors = merge(each.value.labels, {
    region = "REGEXP_EXTRACT(resource.labels.service_name, \"^gatepost-([a-z]+)-\")"
  })

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = can(each.value.value) ? "DISTRIBUTION" : "INT64"
    unit        = endswith(each.key, "_ms") ? "ms" : "1"

    dynamic "labels" {
      for_each = toset(concat(["region"], keys(each.value.labels)))
      content {
        key        = labels.value
        value_type = "STRING"
      }
    }
  }

  # 3 seconds, Amazon's limit for a report, is the end of a bucket.
  dynamic "bucket_options" {
    for_each = can(each.value.value) ? [1] : []
    content {
      explicit_buckets {
        bounds = (
          endswith(each.key, "_ms")
          ? [20, 50, 100, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000, 10000, 30000, 60000, 300000]
          : [1, 10, 100, 1000, 10000]
        )
      }
    }
  }
}
