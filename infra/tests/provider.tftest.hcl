# A plan by the real providers, which check more than mocks: the values that Google
# and AWS accept. They have no credentials and make no calls.

provider "google" {
  project      = "maker-prod"
  access_token = "fake"
}

provider "aws" {
  alias                       = "na"
  region                      = "us-east-1"
  access_key                  = "fake"
  secret_key                  = "fake"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

provider "aws" {
  alias                       = "eu"
  region                      = "eu-west-1"
  access_key                  = "fake"
  secret_key                  = "fake"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

provider "aws" {
  alias                       = "fe"
  region                      = "us-west-2"
  access_key                  = "fake"
  secret_key                  = "fake"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

override_data {
  target = module.google.data.google_project.this
  values = { number = "123456" }
}

override_data {
  target = module.aws.module.proxy_na[0].data.aws_caller_identity.here
  values = { account_id = "123456789012" }
}

override_data {
  target = module.aws.module.proxy_eu[0].data.aws_caller_identity.here
  values = { account_id = "123456789012" }
}

override_data {
  target = module.aws.module.proxy_fe[0].data.aws_caller_identity.here
  values = { account_id = "123456789012" }
}

variables {
  alert_channels = ["projects/maker-prod/notificationChannels/1"]
  aws_account_id = "123456789012"
  grantee        = { resolver = "introspection:https://id.maker.example/introspect" }
  project_id     = "maker-prod"
  proxy_package  = "tests/package.txt"
  regions = {
    NA = { location = "us-east4", firestore_location = "nam5" }
    EU = { location = "europe-west1", firestore_location = "eur3" }
    FE = { location = "us-west1", firestore_location = "us-west1" }
  }
  skill_id       = "amzn1.ask.skill.00000000-0000-4000-8000-0123456789ab"
  source_package = "tests/package.txt"
}

run "everything" {
  command = plan

  variables {
    device_events = "regional"
    directive     = { url = "https://home.example.com/alexa" }

    backup_retention_weeks   = 14
    build_rights             = "resources"
    grant_events_subscribers = ["group:links@maker.example"]
    kms_keys = {
      databases = { EU = "projects/maker-kms/locations/europe/keyRings/gatepost/cryptoKeys/database" }
      keysets   = { EU = "projects/maker-kms/locations/europe-west1/keyRings/gatepost/cryptoKeys/keyset" }
      secrets   = "projects/maker-kms/locations/global/keyRings/gatepost/cryptoKeys/secrets"
      topics    = "projects/maker-kms/locations/europe/keyRings/gatepost/cryptoKeys/topics"
    }
    labels               = { team = "smart-home" }
    permissions_boundary = "arn:aws:iam::123456789012:policy/gatepost-boundary"
    publishers           = ["serviceAccount:devices@maker-cloud.iam.gserviceaccount.com"]
    role_path            = "/gatepost/"
    tags                 = { team = "smart-home" }
    version_destroy_ttl  = "2592000s"
  }

  assert {
    condition = { for region, stack in output.stacks : region => split("/subject/", stack.lambda)[1] } == {
      NA = "arn:aws:sts::123456789012:assumed-role/gatepost-skill-proxy-na"
      EU = "arn:aws:sts::123456789012:assumed-role/gatepost-skill-proxy-eu"
      FE = "arn:aws:sts::123456789012:assumed-role/gatepost-skill-proxy-fe"
    }
    error_message = "Each stack must trust the role of its own proxy."
  }
}

run "no_proxy" {
  command = plan

  variables {
    regions = { EU = { location = "europe-west1", firestore_location = "eur3", own_lambda_role = "maker-smart-home" } }
  }

  assert {
    condition     = split("/subject/", output.stacks["EU"].lambda)[1] == "arn:aws:sts::123456789012:assumed-role/maker-smart-home"
    error_message = "Only the maker's role may be admitted."
  }
}
