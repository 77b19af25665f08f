# The Lambda's alarms, in CloudWatch: Google's alerts do not see it.

locals {
  # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
  alarms = var.alarm_topic_arn == null ? {} : {
    Errors    = { statistic = "Sum", above = 0, periods = 1 }
    Throttles = { statistic = "Sum", above = 0, periods = 1 }
    Duration  = { statistic = "p99", above = 6000, periods = 3 } # in ms; Alexa waits for 8 s
  }
}

resource "aws_cloudwatch_metric_alarm" "proxy" {
  for_each = local.alarms

  alarm_name        = "${local.name}-${each.key}"
  alarm_description = "Gatepost: the skill proxy of ${var.region} fails, is throttled or is slow. Playbook: infra/playbooks/lambda.md"

  namespace          = "AWS/Lambda"
  metric_name        = each.key
  dimensions         = { FunctionName = aws_lambda_function.proxy.function_name }
  statistic          = each.value.statistic == "Sum" ? "Sum" : null
  extended_statistic = each.value.statistic == "Sum" ? null : each.value.statistic

  period              = 60
  evaluation_periods  = each.value.periods
  threshold           = each.value.above
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching" # no calls, no data

  alarm_actions = [var.alarm_topic_arn]
  ok_actions    = [var.alarm_topic_arn]
}
