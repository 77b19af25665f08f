# The canary: the only proof of the whole way, from the topic to the gateway's 202. A
# report without timeOfSample is sampled when it is published, and without eventId its
# identity is Pub/Sub's message id, so that each one is new.
resource "google_cloud_scheduler_job" "canary" {
  for_each = var.canary

  project     = var.project_id
  region      = var.stacks[each.key].location
  name        = "gatepost-${lower(each.key)}-canary"
  description = "Publishes the canary's report in ${each.key}."
  schedule    = "*/5 * * * *"
  time_zone   = "Etc/UTC"

  pubsub_target {
    topic_name = "projects/${var.project_id}/topics/${var.stacks[each.key].device_events}"
    attributes = { region = each.key }
    data = base64encode(jsonencode(merge(local.canary_report, {
      userId     = each.value.user_id
      endpointId = each.value.endpoint_id
    })))
  }

  lifecycle {
    precondition {
      condition     = contains(keys(var.stacks), each.key)
      error_message = "The keys of canary are keys of regions; ${each.key} is none."
    }
  }
}
