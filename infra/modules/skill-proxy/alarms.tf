# The Lambda's alarms, in CloudWatch: Google's alerts do not see it.

locals {
  # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
  alarms = var.alarm_topic_arn == null ? {} : {
    Errors     = { namespace = "AWS/Lambda", metric = "Errors", statistic = "Sum", above = 0, period = 60, periods = 1 }
    Throttles  = { namespace = "AWS/Lambda", metric = "Throttles", statistic = "Sum", above = 0, period = 60, periods = 1 }
    Duration   = { namespace = "AWS/Lambda", metric = "Duration", statistic = "p99", above = 6000, period = 60, periods = 3 } # ms; Alexa waits for 8 s
    ErrorLines = { namespace = "Gatepost", metric = local.name, statistic = "Sum", above = 0, period = 300, periods = 1 }
  }
}

# Errors counts no directive that the proxy answers with an error itself. If the proxy
# cannot reach AcceptGrant, only its log shows the failed links.
resource "aws_cloudwatch_log_metric_filter" "error_lines" {
  count = var.alarm_topic_arn == null ? 0 : 1

  name           = local.name
  log_group_name = aws_cloudwatch_log_group.proxy.name
  pattern        = "{ $.severity = \"ERROR\" }"

  metric_transformation {
    namespace = "Gatepost"
    name      = local.name
    value     = "1"
  }
}

resource "aws_cloudwatch_metric_alarm" "proxy" {
  for_each = local.alarms

  alarm_name        = "${local.name}-${each.key}"
  alarm_description = "Gatepost: the skill proxy in ${var.region} is failing, throttled or slow. Playbook: infra/playbooks/lambda.md"

  namespace          = each.value.namespace
  metric_name        = each.value.metric
  dimensions         = each.value.namespace == "AWS/Lambda" ? { FunctionName = aws_lambda_function.proxy.function_name } : null
  statistic          = each.value.statistic == "Sum" ? "Sum" : null
  extended_statistic = each.value.statistic == "Sum" ? null : each.value.statistic

  period              = each.value.period
  evaluation_periods  = each.value.periods
  threshold           = each.value.above
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching" # no calls, no data

  alarm_actions = [var.alarm_topic_arn]
  ok_actions    = [var.alarm_topic_arn]
  tags          = var.tags
}
