data "aws_caller_identity" "here" {}

locals {
  assumed_role = "arn:aws:sts::${data.aws_caller_identity.here.account_id}:assumed-role/${local.name}"
}

# The role identifies the proxy to Google's Security Token Service. It has one right
# in AWS: to write the proxy's log. To prove its identity to Google it needs none.
resource "aws_iam_role" "proxy" {
  name        = local.name
  description = "Of the Lambda that passes on what Alexa sends to the skill in ${var.region}."

  path                 = var.role_path
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

# AWS's own AWSLambdaBasicExecutionRole would let it write to every log of the
# account, and create new ones. The asterisk stands for the log's streams, whose names
# Lambda chooses.
resource "aws_iam_role_policy" "log" {
  name = "log"
  role = aws_iam_role.proxy.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "${aws_cloudwatch_log_group.proxy.arn}:*"
    }]
  })
}
