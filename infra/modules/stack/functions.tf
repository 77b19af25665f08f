# The stack's five functions, each with an account of its own. The rights of a
# function (access.tf) and its environment (environment.tf) follow from this table,
# and only its caller may call it.

locals {
  prefix = "gatepost-${lower(var.region)}"

  # Deprecated in early 2027, and gone six months later: nothing can be built with it
  # then. https://cloud.google.com/run/docs/runtimes/go
  runtime = "go126"

  functions = {
    acceptgrant = {
      entry_point = "AcceptGrant"
      caller      = "proxy"
      database    = true
      secrets     = ["lwa", "keyset", "grantee"]
      publishes   = ["grant_events"]
      concurrency = 80
      # One instance is kept warm: with a cold start after that of a cold Lambda, the
      # first try of a customer may exceed Alexa's eight seconds.
      scaling = { min_instances = 1, max_instances = 10, memory = "256Mi", cpu = "1" }
    }
    skillevent = {
      entry_point = "SkillEvent"
      caller      = "proxy"
      database    = true
      secrets     = ["grantee"] # it makes grants due and opens no token
      publishes   = []
      concurrency = 80
      scaling     = { min_instances = 0, max_instances = 10, memory = "256Mi", cpu = "1" }
    }
    refreshtokens = {
      entry_point = "RefreshTokens"
      caller      = "scheduler"
      database    = false
      secrets     = []
      publishes   = ["refresh"]
      concurrency = 80
      scaling     = { min_instances = 0, max_instances = 2, memory = "256Mi", cpu = "1" }
    }
    refreshshard = {
      entry_point = "RefreshShard"
      caller      = "push-refreshshard"
      database    = true
      secrets     = ["lwa", "keyset"]
      publishes   = ["grant_events"]
      # A shard refreshes sixteen grants in parallel: a process does not have the
      # connections for more shards.
      concurrency = 16
      # An instance is billed while one of its shards waits for Login with Amazon, so
      # there are few: Cloud Run adds one at six tenths of the concurrency, and eight
      # shards are below that.
      scaling = { min_instances = 0, max_instances = ceil(var.refresh.shards / 8), memory = "256Mi", cpu = "1" }
    }
    sendevent = {
      entry_point = "SendEvent"
      caller      = "push-sendevent"
      database    = true
      secrets     = ["lwa", "keyset"]
      publishes   = ["grant_events", "dead_letters"]
      concurrency = 80
      scaling     = { min_instances = 0, max_instances = 10, memory = "512Mi", cpu = "1" }
    }
  }

  # The table with the maker's scaling. A new project's quota
  # (CpuAllocPerProjectRegion) allows ten instances of one processor.
  scaling = {
    for name, function in local.functions : name => {
      for setting, value in function.scaling : setting => try(coalesce(var.scaling[function.entry_point][setting], value), value)
    }
  }

  # The memory, in MB, that each number of processors allows:
  # https://cloud.google.com/run/docs/configuring/services/memory-limits
  memories = {
    for name, is in local.scaling : name => tonumber(regex("^[0-9]+", is.memory)) * (endswith(is.memory, "Gi") ? 1024 : 1)
  }
  memory_least = { "1" = 128, "2" = 128, "4" = 2048, "6" = 4096, "8" = 4096 }
  memory_most  = { "1" = 4096, "2" = 8192, "4" = 16384, "6" = 24576, "8" = 32768 }
}

# Cloud Functions has no setting for the start-up CPU boost, and Google does not
# document its default. All published descriptions of Cloud Run services that it
# creates have it, run.googleapis.com/startup-cpu-boost: "true"; gcloud run services
# describe shows it for yours.
resource "google_cloudfunctions2_function" "function" {
  for_each = local.functions

  project  = var.project_id
  name     = "${local.prefix}-${each.key}"
  location = var.location
  labels   = var.labels

  build_config {
    runtime         = local.runtime
    entry_point     = each.value.entry_point
    service_account = var.build_account

    docker_repository = var.repository

    # Without symbols the program is a third smaller, and starts sooner.
    environment_variables = { GOOGLE_GOLDFLAGS = "-s -w" }

    source {
      storage_source {
        bucket = var.package.bucket
        object = var.package.object
      }
    }
  }

  service_config {
    service_account_email = google_service_account.function[each.key].email
    environment_variables = local.environment[each.key]

    # The timeout is that of a push, and longer than that of any handler: 25
    # seconds for events, 55 for the sweep.
    timeout_seconds                  = 60
    max_instance_request_concurrency = each.value.concurrency
    available_memory                 = local.scaling[each.key].memory
    available_cpu                    = local.scaling[each.key].cpu
    min_instance_count               = local.scaling[each.key].min_instances
    max_instance_count               = local.scaling[each.key].max_instances
    all_traffic_on_latest_revision   = true

    # Only the Lambda comes from outside. Cloud Scheduler and Pub/Sub of this
    # project count as internal, at the run.app address:
    # https://cloud.google.com/run/docs/securing/ingress#settings
    ingress_settings = each.value.caller == "proxy" ? "ALLOW_ALL" : "ALLOW_INTERNAL_ONLY"
  }

  # No create_before_destroy: Google keeps a function whose first build failed, and
  # Terraform replaces it with the next apply. The name must be free by then.
  lifecycle {
    precondition {
      condition     = local.scaling[each.key].min_instances <= local.scaling[each.key].max_instances
      error_message = "The min_instances of ${each.value.entry_point} are more than its max_instances."
    }
    precondition {
      condition = (
        local.memories[each.key] >= local.memory_least[local.scaling[each.key].cpu] &&
        local.memories[each.key] <= local.memory_most[local.scaling[each.key].cpu]
      )
      error_message = "With ${local.scaling[each.key].cpu} cpu ${each.value.entry_point} gets ${local.memory_least[local.scaling[each.key].cpu]}Mi to ${local.memory_most[local.scaling[each.key].cpu]}Mi of memory."
    }
  }

  # A function reads its secrets at its start, and its deployment fails if it cannot.
  # A sweep needs its index, which takes minutes to build: time enough for the roles of
  # the build and of the functions to come into force.
  depends_on = [
    google_firestore_index.customers_due,
    google_project_iam_member.database,
    google_secret_manager_secret_iam_member.reads,
    google_pubsub_topic_iam_member.publishes,
  ]
}

# The only caller: one account, by its ID tokens.
resource "google_cloud_run_v2_service_iam_member" "caller" {
  for_each = local.functions

  project  = var.project_id
  location = var.location
  name     = google_cloudfunctions2_function.function[each.key].name # also the Cloud Run service's
  role     = "roles/run.invoker"
  member   = google_service_account.caller[each.value.caller].member

  # The binding goes with its function, but Terraform sees only that the name is the
  # same.
  lifecycle {
    replace_triggered_by = [google_cloudfunctions2_function.function[each.key].id]
  }
}
