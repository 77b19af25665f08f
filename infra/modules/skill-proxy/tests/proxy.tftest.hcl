# The module's resources as far as they can be tested without AWS: applied to a
# mocked provider, which invents the answers of AWS.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_region" {
    defaults = { id = "eu-west-1" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/gatepost-skill-proxy-eu" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/gatepost-skill-proxy-eu" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:123456789012:function:gatepost-skill-proxy-eu" }
  }
}

variables {
  accept_grant = { url = "https://acceptgrant-fake-ew.a.run.app/" }
  google = {
    workload_provider = "//iam.googleapis.com/projects/123456/locations/global/workloadIdentityPools/gatepost/providers/aws-eu"
    service_account   = "gatepost-caller-eu@maker-prod.iam.gserviceaccount.com"
  }
  package  = "tests/package.txt"
  region   = "EU"
  skill_id = "amzn1.ask.skill.00000000-0000-4000-8000-0123456789ab"
}

run "function" {
  assert {
    condition     = aws_lambda_function.proxy.runtime == "provided.al2023" && aws_lambda_function.proxy.handler == "bootstrap"
    error_message = "The zip must hold one program, bootstrap, for the bare system."
  }
  assert {
    condition     = aws_lambda_function.proxy.architectures == tolist(["arm64"])
    error_message = "scripts/build-proxy builds for arm64."
  }
  assert {
    condition     = aws_lambda_function.proxy.timeout == 8 && aws_lambda_function.proxy.memory_size == 128
    error_message = "The Lambda must have 8 seconds, as long as Alexa waits, and 128 MB by default."
  }
  assert {
    condition     = coalesce(aws_lambda_function.proxy.reserved_concurrent_executions, -1) == -1
    error_message = "No concurrency may be reserved."
  }
  assert {
    condition     = aws_lambda_function.proxy.source_code_hash == filebase64sha256("tests/package.txt")
    error_message = "Another package must change the function."
  }
  assert {
    condition     = aws_lambda_function.proxy.role == aws_iam_role.proxy.arn
    error_message = "The function must run as its own role."
  }
}

run "least_environment" {
  assert {
    condition = aws_lambda_function.proxy.environment[0].variables == tomap({
      ACCEPT_GRANT_URL         = "https://acceptgrant-fake-ew.a.run.app/"
      GOOGLE_SERVICE_ACCOUNT   = "gatepost-caller-eu@maker-prod.iam.gserviceaccount.com"
      GOOGLE_WORKLOAD_PROVIDER = "//iam.googleapis.com/projects/123456/locations/global/workloadIdentityPools/gatepost/providers/aws-eu"
    })
    error_message = "A variable without a setting must be absent, not empty."
  }
}

run "whole_environment" {
  variables {
    accept_grant = { url = "https://gatepost.example.com/accept", audience = "https://acceptgrant-fake-ew.a.run.app" }
    skill_event  = { url = "https://gatepost.example.com/event", audience = "https://skillevent-fake-ew.a.run.app" }
    directive    = { url = "https://home.example.com/alexa", auth = "google", audience = "https://home-fake-ew.a.run.app" }
  }

  assert {
    condition = aws_lambda_function.proxy.environment[0].variables == tomap({
      ACCEPT_GRANT_AUDIENCE    = "https://acceptgrant-fake-ew.a.run.app"
      ACCEPT_GRANT_URL         = "https://gatepost.example.com/accept"
      DIRECTIVE_AUDIENCE       = "https://home-fake-ew.a.run.app"
      DIRECTIVE_AUTH           = "google"
      DIRECTIVE_URL            = "https://home.example.com/alexa"
      GOOGLE_SERVICE_ACCOUNT   = "gatepost-caller-eu@maker-prod.iam.gserviceaccount.com"
      GOOGLE_WORKLOAD_PROVIDER = "//iam.googleapis.com/projects/123456/locations/global/workloadIdentityPools/gatepost/providers/aws-eu"
      SKILL_EVENT_AUDIENCE     = "https://skillevent-fake-ew.a.run.app"
      SKILL_EVENT_URL          = "https://gatepost.example.com/event"
    })
    error_message = "The environment differs."
  }
}

run "only_alexa_may_invoke_it" {
  variables {
    skill_event = { url = "https://skillevent-fake-ew.a.run.app/" }
  }

  assert {
    condition = toset([for permission in concat([aws_lambda_permission.directives], aws_lambda_permission.skill_events) :
      join(" ", [permission.principal, permission.action, permission.function_name, permission.event_source_token])]) == toset([
      "alexa-connectedhome.amazon.com lambda:InvokeFunction gatepost-skill-proxy-eu amzn1.ask.skill.00000000-0000-4000-8000-0123456789ab",
      "alexa-appkit.amazon.com lambda:InvokeFunction gatepost-skill-proxy-eu amzn1.ask.skill.00000000-0000-4000-8000-0123456789ab",
    ])
    error_message = "Alexa's two services may invoke the function, for this skill only."
  }
}

run "no_skill_events" {
  assert {
    condition     = length(aws_lambda_permission.skill_events) == 0 && aws_lambda_permission.directives.principal == "alexa-connectedhome.amazon.com"
    error_message = "Without a function for skill events, they may not be sent here."
  }
}

run "role" {
  assert {
    condition     = aws_iam_role.proxy.name == "gatepost-skill-proxy-eu" && aws_lambda_function.proxy.function_name == aws_iam_role.proxy.name
    error_message = "The role's name must have the region: roles are one set for all regions."
  }
  assert {
    condition = jsondecode(aws_iam_role.proxy.assume_role_policy).Statement == [
      { Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }
    ]
    error_message = "Only Lambda may assume the role."
  }
  assert {
    condition = jsondecode(aws_iam_role_policy.log.policy).Statement == [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/gatepost-skill-proxy-eu:*"
    }]
    error_message = "The role may only write its own log."
  }
  assert {
    condition     = aws_iam_role_policy.log.role == aws_iam_role.proxy.id
    error_message = "The policy must be the role's."
  }
}

run "log" {
  variables {
    log_retention_days = 7
  }

  assert {
    condition     = aws_cloudwatch_log_group.proxy.name == "/aws/lambda/gatepost-skill-proxy-eu" && aws_cloudwatch_log_group.proxy.retention_in_days == 7
    error_message = "The log must have the set retention."
  }
  assert {
    condition     = aws_lambda_function.proxy.logging_config[0].log_group == aws_cloudwatch_log_group.proxy.name
    error_message = "The function must write to the log that its role may write to."
  }
}

run "outputs" {
  assert {
    condition     = output.assumed_role == "arn:aws:sts::123456789012:assumed-role/gatepost-skill-proxy-eu"
    error_message = "The assumed role differs."
  }
  assert {
    condition     = output.role_arn == "arn:aws:iam::123456789012:role/gatepost-skill-proxy-eu"
    error_message = "The role's ARN differs."
  }
  assert {
    condition     = output.function_arn == "arn:aws:lambda:eu-west-1:123456789012:function:gatepost-skill-proxy-eu"
    error_message = "The function's ARN differs."
  }
}

run "longest_name" {
  command = plan

  variables {
    name = "gatepost-skill-proxy-of-the-longest-name-that-a-maker-can-use"
  }

  assert {
    condition     = length(aws_iam_role.proxy.name) == 64 && length(output.assumed_role) == 103
    error_message = "The longest name must fit a role's name and a subject."
  }
}

run "no_alarms_without_a_topic" {
  command = plan

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.proxy) == 0 && length(aws_cloudwatch_log_metric_filter.error_lines) == 0
    error_message = "An alarm costs money, and notifies nobody without a topic."
  }
}

run "alarms" {
  command = plan

  variables {
    alarm_topic_arn = "arn:aws:sns:eu-west-1:123456789012:oncall"
  }

  assert {
    condition = { for metric, alarm in aws_cloudwatch_metric_alarm.proxy : metric => join(" ", [
      alarm.namespace, alarm.metric_name, coalesce(alarm.statistic, alarm.extended_statistic), alarm.comparison_operator, alarm.threshold,
      alarm.period, alarm.treat_missing_data, try(alarm.dimensions.FunctionName, "-"), one(alarm.alarm_actions),
      ]) } == {
      Duration   = "AWS/Lambda Duration p99 GreaterThanThreshold 6000 60 notBreaching gatepost-skill-proxy-eu arn:aws:sns:eu-west-1:123456789012:oncall"
      ErrorLines = "Gatepost gatepost-skill-proxy-eu Sum GreaterThanThreshold 0 300 notBreaching - arn:aws:sns:eu-west-1:123456789012:oncall"
      Errors     = "AWS/Lambda Errors Sum GreaterThanThreshold 0 60 notBreaching gatepost-skill-proxy-eu arn:aws:sns:eu-west-1:123456789012:oncall"
      Throttles  = "AWS/Lambda Throttles Sum GreaterThanThreshold 0 60 notBreaching gatepost-skill-proxy-eu arn:aws:sns:eu-west-1:123456789012:oncall"
    }
    error_message = "The alarms must cover errors, failures that the proxy answers itself, throttles, and calls near Alexa's 8 seconds."
  }
  assert {
    condition = [for filter in aws_cloudwatch_log_metric_filter.error_lines : join(" ", [
      filter.log_group_name, filter.metric_transformation[0].namespace, filter.metric_transformation[0].name, filter.metric_transformation[0].value,
    ])] == ["/aws/lambda/gatepost-skill-proxy-eu Gatepost gatepost-skill-proxy-eu 1"]
    error_message = "The filter must count lines of the proxy's log in the metric of the alarm ErrorLines."
  }
}
