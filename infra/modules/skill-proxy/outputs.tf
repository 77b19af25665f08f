output "assumed_role" {
  description = "ARN of the assumed role without the session's name, as Google's Security Token Service sees it: the subject and the condition of the workload identity provider."
  value       = local.assumed_role

  # https://cloud.google.com/iam/docs/workload-identity-federation#mapping. A
  # subject with the session's name, up to 64 more, would be refused too.
  precondition {
    condition     = length(local.assumed_role) <= 127
    error_message = "Google takes a subject of 127 bytes at most: shorten the name."
  }
}

output "function_arn" {
  description = "ARN of the Lambda: the endpoint to enter in the developer console for this region."
  value       = aws_lambda_function.proxy.arn
}

output "role_arn" {
  description = "ARN of the Lambda's role."
  value       = aws_iam_role.proxy.arn
}
