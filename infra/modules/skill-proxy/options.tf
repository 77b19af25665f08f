# The variables of what some organisations require. By default each is off, and
# scripts/deploy has none of them.

variable "permissions_boundary" {
  description = "ARN of the policy that bounds the role's rights. It has to allow logs:CreateLogStream and logs:PutLogEvents."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary == null || can(regex("^arn:aws:iam::([0-9]{12}|aws):policy/\\S+$", var.permissions_boundary))
    error_message = "The permissions_boundary is the ARN of a policy, arn:aws:iam::ACCOUNT:policy/NAME."
  }
}

variable "role_path" {
  description = "Path of the role, such as /gatepost/. Google does not see it: it is not in the ARN of an assumed role."
  type        = string
  default     = null

  validation {
    # https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
    condition     = var.role_path == null || can(regex("^/([!-~]{1,510}/)?$", var.role_path))
    error_message = "The role_path begins and ends with a slash."
  }
}

variable "tags" {
  description = "Tags of the Lambda, its role, its log and its alarms."
  type        = map(string)
  default     = null

  validation {
    condition     = alltrue([for name in keys(coalesce(var.tags, {})) : can(regex("^.{1,128}$", name)) && !startswith(lower(name), "aws:")])
    error_message = "The name of a tag has 1 to 128 characters, and does not begin with aws:."
  }
}
