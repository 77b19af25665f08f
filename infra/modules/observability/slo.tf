# The objectives as Cloud Monitoring knows them. The burn-rate alerts are in alerts.tf and
# do not need them: Google refuses an SLO whose metric it does not know yet.

locals {
  slos = !var.slo ? {} : merge([
    for region in keys(var.stacks) : {
      for name in keys(local.objectives) : "${region}-${name}" => { region = region, name = name }
    }
  ]...)

  # A metric's filter, up to the labels of this stack.
  filters = {
    for name in ["events", "links", "delivered_ms"] : name =>
    "resource.type=\"cloud_run_revision\" AND metric.type=\"logging.googleapis.com/user/gatepost_${name}\" AND metric.labels.region="
  }
  bad_words  = join(",", formatlist("\"%s\"", split("|", local.bad)))
  good_words = join(",", formatlist("\"%s\"", split("|", local.good)))
  ratios = {
    delivered = {
      bad  = "${local.filters.events}\"REGION\" AND metric.labels.outcome=one_of(${local.bad_words})"
      good = "${local.filters.events}\"REGION\" AND metric.labels.outcome=one_of(${local.good_words})"
    }
    linked = {
      bad  = "${local.filters.links}\"REGION\" AND metric.labels.outcome=\"failed\" AND metric.labels.failure!=\"code\""
      good = "${local.filters.links}\"REGION\" AND metric.labels.outcome=\"accepted\""
    }
  }
}

resource "google_monitoring_custom_service" "stack" {
  for_each = var.slo ? var.stacks : {}

  project      = var.project_id
  service_id   = "gatepost-${lower(each.key)}"
  display_name = "Gatepost in ${each.key}"
  user_labels  = var.labels
}

resource "google_monitoring_slo" "objective" {
  for_each = local.slos

  project             = var.project_id
  service             = google_monitoring_custom_service.stack[each.value.region].service_id
  slo_id              = each.value.name
  display_name        = local.objectives[each.value.name].title
  goal                = 1 - local.objectives[each.value.name].budget
  rolling_period_days = 28
  user_labels         = var.labels

  request_based_sli {
    dynamic "good_total_ratio" {
      for_each = each.value.name == "fresh" ? [] : [local.ratios[each.value.name]]
      content {
        good_service_filter = replace(good_total_ratio.value.good, "REGION", lower(each.value.region))
        bad_service_filter  = replace(good_total_ratio.value.bad, "REGION", lower(each.value.region))
      }
    }
    dynamic "distribution_cut" {
      for_each = each.value.name == "fresh" ? [1] : []
      content {
        distribution_filter = "${local.filters.delivered_ms}\"${lower(each.value.region)}\""
        range {
          max = 3000
        }
      }
    }
  }

  depends_on = [google_logging_metric.gatepost]
}
