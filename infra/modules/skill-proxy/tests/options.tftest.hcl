# What some organisations require, each switched on and off.

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

run "everything_off" {
  command = plan

  assert {
    condition = (
      aws_iam_role.proxy.permissions_boundary == null && coalesce(aws_iam_role.proxy.path, "/") == "/" &&
      aws_iam_role.proxy.tags == null && aws_lambda_function.proxy.tags == null && aws_cloudwatch_log_group.proxy.tags == null
    )
    error_message = "There must be no boundary, path and tags that nobody has set."
  }
}

run "everything_on" {
  command = plan

  variables {
    alarm_topic_arn      = "arn:aws:sns:eu-west-1:123456789012:oncall"
    permissions_boundary = "arn:aws:iam::123456789012:policy/boundaries/gatepost"
    role_path            = "/gatepost/"
    tags                 = { team = "smart home" }
  }

  assert {
    condition     = aws_iam_role.proxy.permissions_boundary == "arn:aws:iam::123456789012:policy/boundaries/gatepost" && aws_iam_role.proxy.path == "/gatepost/"
    error_message = "The role must have the boundary and the path."
  }
  assert {
    condition     = output.assumed_role == "arn:aws:sts::123456789012:assumed-role/gatepost-skill-proxy-eu"
    error_message = "Google must see the role without its path."
  }
  assert {
    condition = [aws_iam_role.proxy.tags, aws_lambda_function.proxy.tags, aws_cloudwatch_log_group.proxy.tags] == [
      for resource in ["role", "function", "log"] : tomap({ team = "smart home" })
    ]
    error_message = "The function, its role and its log must have the tags."
  }
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.proxy) > 0 && alltrue([for alarm in aws_cloudwatch_metric_alarm.proxy : alarm.tags == tomap({ team = "smart home" })])
    error_message = "Each alarm must have the tags."
  }
}

run "refusals" {
  command = plan

  variables {
    permissions_boundary = "gatepost"
    role_path            = "gatepost"
    tags                 = { "aws:team" = "smart home" }
  }
  expect_failures = [var.permissions_boundary, var.role_path, var.tags]
}
