locals {
  name = "${var.name}-${lower(var.region)}"

  # Alexa calls a smart home skill in these three only:
  # https://developer.amazon.com/en-US/docs/alexa/smarthome/develop-smart-home-skills-in-multiple-languages.html
  aws_region = { NA = "us-east-1", EU = "eu-west-1", FE = "us-west-2" }[var.region]

  environment = {
    ACCEPT_GRANT_URL         = var.accept_grant.url
    ACCEPT_GRANT_AUDIENCE    = var.accept_grant.audience
    SKILL_EVENT_URL          = try(var.skill_event.url, null)
    SKILL_EVENT_AUDIENCE     = try(var.skill_event.audience, null)
    DIRECTIVE_URL            = try(var.directive.url, null)
    DIRECTIVE_AUTH           = try(var.directive.auth, null)
    DIRECTIVE_AUDIENCE       = try(var.directive.audience, null)
    GOOGLE_WORKLOAD_PROVIDER = var.google.workload_provider
    GOOGLE_SERVICE_ACCOUNT   = var.google.service_account
  }
}

# The region of the provider. The proxy derives its Alexa region from it, so a
# provider of another region would send every grant to a stack that cannot use it. The id
# is its name in versions 5 and 6 of the provider.
data "aws_region" "here" {
  lifecycle {
    postcondition {
      condition     = self.id == local.aws_region
      error_message = "The provider is configured for ${self.id}, but the proxy of ${var.region} belongs in ${local.aws_region}."
    }
  }
}

# No reserved concurrency: it would reduce the concurrency that the account's other
# functions share, and limit a skill whose load may grow without notice. The proxy
# answers within 7 seconds, and Alexa waits 8.
resource "aws_lambda_function" "proxy" {
  function_name = local.name
  description   = "Passes on what Alexa sends to the skill in ${var.region}."
  role          = aws_iam_role.proxy.arn

  filename         = var.package
  source_code_hash = filebase64sha256(var.package)
  runtime          = "provided.al2023"
  architectures    = ["arm64"]
  handler          = "bootstrap"

  memory_size = var.memory
  timeout     = 8
  tags        = var.tags

  environment {
    variables = { for variable, value in local.environment : variable => value if value != null && value != "" }
  }

  # The proxy writes JSON itself. The reference makes Terraform create the group
  # first: a Lambda without one creates its own, which never expires.
  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.proxy.name
  }

  depends_on = [aws_iam_role_policy.log]
}

resource "aws_cloudwatch_log_group" "proxy" {
  name              = "/aws/lambda/${local.name}"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

# The permission to invoke it, for this skill only:
# https://developer.amazon.com/en-US/docs/alexa/smarthome/steps-to-build-a-smart-home-skill.html
resource "aws_lambda_permission" "directives" {
  statement_id       = "alexa-directives"
  function_name      = aws_lambda_function.proxy.function_name
  action             = "lambda:InvokeFunction"
  principal          = "alexa-connectedhome.amazon.com"
  event_source_token = var.skill_id
}

# Skill events come from another service of Alexa:
# https://developer.amazon.com/en-US/docs/alexa/smapi/skill-events-in-alexa-skills.html
resource "aws_lambda_permission" "skill_events" {
  count = var.skill_event == null ? 0 : 1

  statement_id       = "alexa-skill-events"
  function_name      = aws_lambda_function.proxy.function_name
  action             = "lambda:InvokeFunction"
  principal          = "alexa-appkit.amazon.com"
  event_source_token = var.skill_id
}
