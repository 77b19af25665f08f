# The variables of what some organisations require. By default each is off, and
# modules/skill-proxy checks the values.

variable "permissions_boundary" {
  description = "ARN of the policy that bounds the rights of the Lambdas' roles. It has to allow logs:CreateLogStream and logs:PutLogEvents."
  type        = string
  default     = null
}

variable "role_path" {
  description = "Path of the Lambdas' roles, such as /gatepost/. Google does not see it: it is not in the ARN of an assumed role."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of the Lambdas, their roles, their logs and their alarms."
  type        = map(string)
  default     = null
}
