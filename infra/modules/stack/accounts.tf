# The stack's service accounts: one for each function to run as, and one for
# each that calls a function. None has a key.

resource "google_service_account" "function" {
  for_each = local.functions

  project      = var.project_id
  account_id   = "${local.prefix}-${each.key}"
  display_name = "Gatepost ${var.region}: ${each.value.entry_point}"
}

resource "google_service_account" "caller" {
  for_each = {
    proxy             = "calls AcceptGrant and SkillEvent from AWS"
    scheduler         = "calls RefreshTokens"
    push-refreshshard = "pushes to RefreshShard"
    push-sendevent    = "pushes to SendEvent"
  }

  project      = var.project_id
  account_id   = "${local.prefix}-${each.key}"
  display_name = "Gatepost ${var.region}: ${each.value}"
}

locals {
  # Their full names, put together from what is known before they are made, so
  # that a plan says whose account it is about.
  callers = { for name, account in google_service_account.caller : name => "projects/${var.project_id}/serviceAccounts/${account.email}" }
}

# The Lambda's role may have ID tokens of the account that calls the two, and
# nothing else of it: no access token, so that it can do nothing but call.
# https://cloud.google.com/iam/docs/service-account-permissions
resource "google_service_account_iam_member" "lambda" {
  service_account_id = local.callers["proxy"]
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = var.lambda
}

# Pub/Sub signs its pushes as these accounts:
# https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions#configure_for_push_authentication.
# Cloud Scheduler needs no such right: its own account has it by its role.
resource "google_service_account_iam_member" "push" {
  for_each = toset(["push-refreshshard", "push-sendevent"])

  service_account_id = local.callers[each.key]
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = var.pubsub_agent

  # Pub/Sub makes its own account no later than when it is first used.
  depends_on = [google_pubsub_topic.refresh]
}
