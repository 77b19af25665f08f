# How the skill proxies, which run on AWS, prove to Google who they are without
# a key: Google's Security Token Service asks AWS whose signature it was shown,
# https://cloud.google.com/iam/docs/workload-identity-federation-with-other-clouds.
# Only the roles below get anything from it, and each stack's calling account
# lets only the role of its own stack's proxy use it (modules/stack/accounts.tf).

locals {
  # Of each stack the role that is trusted, as AWS names it in an assumed
  # role's ARN, without the session.
  assumed_roles = {
    for region, stack in var.regions : region => (
      stack.own_lambda_role == null
      ? local.proxy_roles[region]
      : "arn:aws:sts::${var.aws_account_id}:assumed-role/${stack.own_lambda_role}"
    )
  }

  # By the project's number: Google takes no other name here.
  identity_pool = "projects/${data.google_project.this.number}/locations/global/workloadIdentityPools/${google_iam_workload_identity_pool.gatepost.workload_identity_pool_id}"

  workload_provider = "//iam.googleapis.com/${local.identity_pool}/providers/${google_iam_workload_identity_pool_provider.aws.workload_identity_pool_provider_id}"
}

# Google keeps a deleted pool for 30 days, and its name as long: after a destroy
# it has to be undeleted and imported.
resource "google_iam_workload_identity_pool" "gatepost" {
  project                   = local.project
  workload_identity_pool_id = "gatepost"
  display_name              = "Gatepost"
  description               = "The AWS roles of the Lambdas that Alexa calls."
}

# Google wants four characters at least, so it is not just aws.
resource "google_iam_workload_identity_pool_provider" "aws" {
  project                            = local.project
  workload_identity_pool_id          = google_iam_workload_identity_pool.gatepost.workload_identity_pool_id
  workload_identity_pool_provider_id = "aws-lambda"
  display_name                       = "AWS Lambda"

  aws {
    account_id = var.aws_account_id
  }

  # The ARN of an assumed role ends in the session, which for a Lambda is the
  # function's name. The role alone is what can be granted something, and short
  # enough for a subject.
  attribute_mapping = {
    "google.subject" = join(" + ", [
      "assertion.arn.extract('{account_arn}assumed-role/')",
      "'assumed-role/'",
      "assertion.arn.extract('assumed-role/{role_name}/')",
    ])
  }

  # Everybody else in the AWS account is turned away at the door.
  attribute_condition = "google.subject in [${join(", ", formatlist("'%s'", sort(values(local.assumed_roles))))}]"

  lifecycle {
    # https://cloud.google.com/iam/docs/workload-identity-federation#mapping. Of a
    # longer one nobody would learn before the first grant.
    precondition {
      condition     = alltrue([for role in values(local.assumed_roles) : length(role) <= 127])
      error_message = "Google takes a subject of 127 bytes at most: shorten the name of the role."
    }
  }
}
