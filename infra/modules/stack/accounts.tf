# The stack's service accounts: one for each function to run as, and one for each
# caller of functions. None has a key.

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
  # Their full names, built from values that are known before they are created, so
  # that a plan shows the accounts.
  callers = { for name, account in google_service_account.caller : name => "projects/${var.project_id}/serviceAccounts/${account.email}" }
}

# The Lambda's role may get ID tokens of the account that calls the two functions,
# and no access token, so that it can only call.
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

  # Pub/Sub creates its own account at the latest when it is first used.
  depends_on = [google_pubsub_topic.refresh]
}
