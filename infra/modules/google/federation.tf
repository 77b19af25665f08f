# The skill proxies, which run on AWS, authenticate to Google without a key:
# Google's Security Token Service has AWS verify their signature,
# https://cloud.google.com/iam/docs/workload-identity-federation-with-other-clouds.
# Only the roles below get a token, and only the role of a stack's own proxy may
# use the stack's calling account (modules/stack/accounts.tf).

locals {
  # The trusted role of each stack, as in the ARN of an assumed role, without the
  # session.
  assumed_roles = {
    for region, stack in var.regions : region => "arn:aws:sts::${var.aws_account_id}:assumed-role/${stack.lambda_role}"
  }

  # By the project's number: Google accepts no other name here.
  identity_pool = "projects/${data.google_project.this.number}/locations/global/workloadIdentityPools/${google_iam_workload_identity_pool.gatepost.workload_identity_pool_id}"

  workload_provider = "//iam.googleapis.com/${local.identity_pool}/providers/${google_iam_workload_identity_pool_provider.aws.workload_identity_pool_provider_id}"
}

# Google keeps a deleted pool, and its name, for 30 days: after a destroy it must be
# undeleted and imported.
resource "google_iam_workload_identity_pool" "gatepost" {
  project                   = local.project
  workload_identity_pool_id = "gatepost"
  display_name              = "Gatepost"
  description               = "The AWS roles of the Lambdas that Alexa calls."
}

# Google requires four characters or more, so the id is not just aws.
resource "google_iam_workload_identity_pool_provider" "aws" {
  project                            = local.project
  workload_identity_pool_id          = google_iam_workload_identity_pool.gatepost.workload_identity_pool_id
  workload_identity_pool_provider_id = "aws-lambda"
  display_name                       = "AWS Lambda"

  aws {
    account_id = var.aws_account_id
  }

  # The ARN of an assumed role ends in the session, which for a Lambda is the
  # function's name. Bindings need the role alone, which is also short enough for
  # a subject.
  attribute_mapping = {
    "google.subject" = join(" + ", [
      "assertion.arn.extract('{account_arn}assumed-role/')",
      "'assumed-role/'",
      "assertion.arn.extract('assumed-role/{role_name}/')",
    ])
  }

  # Every other role of the AWS account is refused here.
  attribute_condition = "google.subject in [${join(", ", formatlist("'%s'", sort(values(local.assumed_roles))))}]"
}
