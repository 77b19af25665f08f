# Planned by the real provider, which checks more than a mock: the values that
# Google accepts, and the addresses of accounts. It has no credentials and makes no
# calls.

provider "google" {
  project      = "maker-prod"
  access_token = "fake"
}

variables {
  build_account      = "projects/maker-prod/serviceAccounts/gatepost-build@maker-prod.iam.gserviceaccount.com"
  events             = { max_age = "5m", checks = "strict" }
  firestore_location = "eur3"
  grantee            = { resolver = "jwt:https://id.maker.example" }
  lambda             = "principal://iam.googleapis.com/projects/123456/locations/global/workloadIdentityPools/gatepost/subject/arn:aws:sts::123456789012:assumed-role/gatepost-skill-proxy-eu"
  location           = "europe-west1"
  package            = { bucket = "maker-prod-gatepost-source", object = "functions-fake.zip" }
  project_id         = "maker-prod"
  pubsub_agent       = "serviceAccount:service-123456@gcp-sa-pubsub.iam.gserviceaccount.com"
  refresh            = { schedule = "*/5 * * * *", shards = 16, idle_after = "off" }
  region             = "EU"
  secrets            = { lwa = "gatepost-lwa-credentials", keyset = "gatepost-token-keyset-eu" }
  skill              = "default"
  topics = {
    device_events        = "device-events"
    grant_events         = "grant-events"
    dead_letters         = "dead-letters"
    refresh_dead_letters = "refresh-dead-letters"
  }
}

# The exact environment of each process: a missing variable stops it at its start,
# and an extra one may take effect.

run "least" {
  command = plan

  assert {
    condition = local.environment["acceptgrant"] == {
      ALEXA_REGIONS        = "EU"
      FIRESTORE_DATABASE   = "gatepost-eu"
      GOOGLE_CLOUD_PROJECT = "maker-prod"
      GRANTEE_RESOLVER     = "jwt:https://id.maker.example"
      GRANT_EVENTS_TOPIC   = "grant-events"
      GRANT_STORE          = "firestore"
      LWA_CREDENTIALS      = "projects/maker-prod/secrets/gatepost-lwa-credentials"
      SKILL                = "default"
      TOKEN_KEYSET         = "projects/maker-prod/secrets/gatepost-token-keyset-eu"
    }
    error_message = "The environment of AcceptGrant differs."
  }
  assert {
    condition = local.environment["skillevent"] == {
      ALEXA_REGIONS        = "EU"
      FIRESTORE_DATABASE   = "gatepost-eu"
      GOOGLE_CLOUD_PROJECT = "maker-prod"
      GRANTEE_RESOLVER     = "jwt:https://id.maker.example"
      GRANT_STORE          = "firestore"
      SKILL                = "default"
    }
    error_message = "The environment of SkillEvent differs."
  }
  assert {
    condition = local.environment["refreshtokens"] == {
      ALEXA_REGIONS        = "EU"
      GOOGLE_CLOUD_PROJECT = "maker-prod"
      REFRESH_SHARDS       = "16"
      REFRESH_TOPIC        = "gatepost-eu-refresh"
      SKILL                = "default"
    }
    error_message = "The environment of RefreshTokens differs."
  }
  assert {
    condition = local.environment["refreshshard"] == {
      ALEXA_REGIONS        = "EU"
      FIRESTORE_DATABASE   = "gatepost-eu"
      GOOGLE_CLOUD_PROJECT = "maker-prod"
      GRANT_EVENTS_TOPIC   = "grant-events"
      GRANT_STORE          = "firestore"
      LWA_CREDENTIALS      = "projects/maker-prod/secrets/gatepost-lwa-credentials"
      REFRESH_IDLE_AFTER   = "off"
      SKILL                = "default"
      TOKEN_KEYSET         = "projects/maker-prod/secrets/gatepost-token-keyset-eu"
    }
    error_message = "The environment of RefreshShard differs."
  }
  assert {
    condition = local.environment["sendevent"] == {
      ALEXA_REGIONS        = "EU"
      DEAD_LETTER_TOPIC    = "dead-letters"
      EVENT_CHECKS         = "strict"
      FIRESTORE_DATABASE   = "gatepost-eu"
      GOOGLE_CLOUD_PROJECT = "maker-prod"
      GRANT_EVENTS_TOPIC   = "grant-events"
      GRANT_STORE          = "firestore"
      LWA_CREDENTIALS      = "projects/maker-prod/secrets/gatepost-lwa-credentials"
      MAX_EVENT_AGE        = "5m"
      REFRESH_IDLE_AFTER   = "off"
      SKILL                = "default"
      TOKEN_KEYSET         = "projects/maker-prod/secrets/gatepost-token-keyset-eu"
    }
    error_message = "The environment of SendEvent differs."
  }
  assert {
    condition     = alltrue([for name, function in google_cloudfunctions2_function.function : function.service_config[0].environment_variables == tomap(local.environment[name])])
    error_message = "A function must get its own environment."
  }
  assert {
    condition     = output.environment == local.environment
    error_message = "The output must equal the functions' environments."
  }
}

run "whole" {
  command = plan

  variables {
    events  = { max_age = "1h30m", checks = "advise" }
    grantee = { resolver = "introspection:https://id.maker.example/introspect", claim = "customer", audience = "https://home.maker.example" }
    refresh = { schedule = "*/2 * * * *", shards = 64, idle_after = "720h", max_rate = 50 }
    secrets = { lwa = "gatepost-lwa-credentials", keyset = "gatepost-token-keyset-eu", grantee = "gatepost-grantee-credentials" }
    skill   = "lamps"
  }

  assert {
    condition = alltrue([for name in ["acceptgrant", "skillevent"] :
      { for variable, value in local.environment[name] : variable => value if startswith(variable, "GRANTEE_") } == {
        GRANTEE_AUDIENCE    = "https://home.maker.example"
        GRANTEE_CLAIM       = "customer"
        GRANTEE_CREDENTIALS = "projects/maker-prod/secrets/gatepost-grantee-credentials"
        GRANTEE_RESOLVER    = "introspection:https://id.maker.example/introspect"
    }])
    error_message = "AcceptGrant and SkillEvent must have the identity provider."
  }
  assert {
    condition = alltrue([for name in ["refreshtokens", "refreshshard", "sendevent"] :
    length([for variable in keys(local.environment[name]) : variable if startswith(variable, "GRANTEE_")]) == 0])
    error_message = "The other functions must not have the identity provider."
  }
  assert {
    condition     = local.environment["sendevent"].MAX_EVENT_AGE == "1h30m" && local.environment["sendevent"].EVENT_CHECKS == "advise"
    error_message = "The settings for events must reach SendEvent."
  }
  assert {
    condition     = local.environment["refreshshard"].REFRESH_IDLE_AFTER == "720h" && local.environment["sendevent"].REFRESH_IDLE_AFTER == "720h"
    error_message = "The sweep and SendEvent must have the same rule for idle customers."
  }
  assert {
    condition     = local.environment["refreshtokens"].REFRESH_SHARDS == "64" && google_cloud_scheduler_job.refresh.schedule == "*/2 * * * *"
    error_message = "The settings for the sweep must reach it."
  }
  assert {
    condition     = local.environment["refreshshard"].REFRESH_PERIOD == "2m" && local.environment["refreshshard"].LWA_MAX_RATE == "50"
    error_message = "RefreshShard must have the period and the rate limit."
  }
  assert {
    condition     = toset([for environment in local.environment : environment.SKILL]) == toset(["lamps"])
    error_message = "The skill must reach every function."
  }
}

run "every_minute" {
  command = plan

  variables {
    refresh = { schedule = "* * * * *", shards = 16, idle_after = "off" }
  }

  assert {
    condition     = local.environment["refreshshard"].REFRESH_PERIOD == "1m" && !contains(keys(local.environment["refreshshard"]), "LWA_MAX_RATE")
    error_message = "RefreshShard must have a period of a minute."
  }
}
