# Everything was in this module once: a state from then keeps its resources, except the
# alerts on dead letters and sweeps, which are of another kind now.

moved {
  from = google_iam_workload_identity_pool.gatepost
  to   = module.google.google_iam_workload_identity_pool.gatepost
}

moved {
  from = google_iam_workload_identity_pool_provider.aws
  to   = module.google.google_iam_workload_identity_pool_provider.aws
}

moved {
  from = google_project_iam_member.build
  to   = module.google.google_project_iam_member.build
}

moved {
  from = google_project_service.api
  to   = module.google.google_project_service.api
}

moved {
  from = google_pubsub_subscription.dead_letters
  to   = module.google.google_pubsub_subscription.dead_letters
}

moved {
  from = google_pubsub_topic.dead_letters
  to   = module.google.google_pubsub_topic.dead_letters
}

moved {
  from = google_pubsub_topic.device_events
  to   = module.google.google_pubsub_topic.device_events
}

moved {
  from = google_pubsub_topic.grant_events
  to   = module.google.google_pubsub_topic.grant_events
}

moved {
  from = google_pubsub_topic_iam_member.forwards_dead_letters
  to   = module.google.google_pubsub_topic_iam_member.forwards_dead_letters
}

moved {
  from = google_secret_manager_secret.gatepost
  to   = module.google.google_secret_manager_secret.gatepost
}

moved {
  from = google_service_account.build
  to   = module.google.google_service_account.build
}

moved {
  from = google_storage_bucket.source
  to   = module.google.google_storage_bucket.source
}

moved {
  from = google_storage_bucket_object.functions
  to   = module.google.google_storage_bucket_object.functions
}

moved {
  from = module.stack
  to   = module.google.module.stack
}

moved {
  from = module.proxy_na
  to   = module.aws.module.proxy_na
}

moved {
  from = module.proxy_eu
  to   = module.aws.module.proxy_eu
}

moved {
  from = module.proxy_fe
  to   = module.aws.module.proxy_fe
}

moved {
  from = google_monitoring_alert_policy.log
  to   = module.google.module.observability.google_monitoring_alert_policy.log
}

moved {
  from = google_monitoring_alert_policy.metric["late_shards"]
  to   = module.google.module.observability.google_monitoring_alert_policy.metric["late-shards"]
}
