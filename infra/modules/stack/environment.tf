# The environment of each function. It has the names of secrets without a version,
# and no values: the process reads the newest version itself, so that a rotation
# needs no deployment.

locals {
  topics = {
    grant_events = { variable = "GRANT_EVENTS_TOPIC", name = var.topics.grant_events }
    dead_letters = { variable = "DEAD_LETTER_TOPIC", name = var.topics.dead_letters }
    refresh      = { variable = "REFRESH_TOPIC", name = google_pubsub_topic.refresh.name }
  }

  secrets = {
    for key, variable in { lwa = "LWA_CREDENTIALS", keyset = "TOKEN_KEYSET", grantee = "GRANTEE_CREDENTIALS" } :
    key => { variable = variable, name = var.secrets[key] } if var.secrets[key] != null
  }

  grantee = {
    for variable, value in {
      GRANTEE_RESOLVER = var.grantee.resolver
      GRANTEE_CLAIM    = var.grantee.claim
      GRANTEE_AUDIENCE = var.grantee.audience
      GRANTEE_JWKS     = var.grantee.jwks
    } : variable => value if value != null
  }

  # RefreshShard drops a message that is older than the period, so the period must
  # be the scheduler's: */N is N minutes.
  period = var.refresh.schedule == "* * * * *" ? "1m" : "${regex("^\\*/([1-5])( \\*){4}$", var.refresh.schedule)[0]}m"
  pace = {
    for variable, value in {
      REFRESH_PERIOD = local.period == "5m" ? null : local.period
      LWA_MAX_RATE   = var.refresh.max_rate == 0 ? null : tostring(var.refresh.max_rate)
    } : variable => value if value != null
  }

  # The other variables of a function follow from the table of functions.
  settings = {
    acceptgrant   = local.grantee
    skillevent    = local.grantee
    refreshtokens = { REFRESH_SHARDS = tostring(var.refresh.shards) }
    refreshshard  = merge({ REFRESH_IDLE_AFTER = var.refresh.idle_after }, local.pace)
    sendevent = {
      EVENT_CHECKS       = var.events.checks
      MAX_EVENT_AGE      = var.events.max_age
      REFRESH_IDLE_AFTER = var.refresh.idle_after
    }
  }

  environment = {
    for name, function in local.functions : name => merge(
      {
        ALEXA_REGIONS        = var.region
        GOOGLE_CLOUD_PROJECT = var.project_id
        SKILL                = var.skill
      },
      { for variable, value in local.database : variable => value if function.database },
      { for key, secret in local.secrets : secret.variable => "projects/${var.project_id}/secrets/${secret.name}" if contains(function.secrets, key) },
      { for key, topic in local.topics : topic.variable => topic.name if contains(function.publishes, key) },
      local.settings[name],
    )
  }

  database = {
    FIRESTORE_DATABASE = google_firestore_database.grants.name
    GRANT_STORE        = "firestore"
  }
}
