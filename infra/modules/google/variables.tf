variable "aws_account_id" {
  description = "Id of the AWS account of the skill's Lambdas. No other account's roles are trusted."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.aws_account_id))
    error_message = "The aws_account_id is 12 digits."
  }
}

variable "project_id" {
  description = "Id of the Google Cloud project of all resources. It must exist and have a billing account."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "The project_id is 6 to 30 lower-case letters, digits and hyphens, starting with a letter."
  }
}

variable "regions" {
  description = <<-EOT
    The stacks, by Alexa region: NA, EU or FE. A skill needs one for each region in which it is published.
      location            Google Cloud region of the stack's functions, near the region's event gateway
      firestore_location  location of the customers' tokens: a region or a multi-region such as eur3. It can never
                          be changed, so it does not follow location.
      lambda_role         name of the role of the Lambda that Alexa calls in this region, which the stack trusts: a skill
                          proxy's (modules/aws), or that of the maker's own Lambda. It need not exist yet.
  EOT
  type = map(object({
    location           = string
    firestore_location = string
    lambda_role        = string
  }))
  nullable = false

  validation {
    condition     = length(var.regions) > 0 && length(setsubtract(keys(var.regions), ["NA", "EU", "FE"])) == 0
    error_message = "The keys of regions are one or more of NA, EU and FE."
  }

  validation {
    condition     = alltrue([for stack in var.regions : can(regex("^[a-z]+-[a-z]+[0-9]+$", stack.location))])
    error_message = "A location is a Google Cloud region such as europe-west1, without a zone."
  }

  validation {
    condition = alltrue([
      for stack in var.regions : can(regex("^[a-z]+(-[a-z]+)?[0-9]+$", stack.firestore_location))
    ])
    error_message = "A firestore_location is a region such as europe-west1 or a multi-region such as eur3."
  }

  validation {
    # https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
    condition     = alltrue([for stack in var.regions : can(regex("^[A-Za-z0-9_+=,.@-]{1,64}$", stack.lambda_role))])
    error_message = "The role of a Lambda is a name, neither its ARN nor its path."
  }

  validation {
    # AWS does not tell roles apart by capitals.
    condition     = length(var.regions) == length(distinct([for stack in var.regions : lower(stack.lambda_role)]))
    error_message = "Each stack has a role of its own, since it trusts only that role: two regions have the same."
  }
}

variable "source_package" {
  description = "Path of the zip from scripts/package."
  type        = string
  default     = "source.zip"
  nullable    = false

  validation {
    condition     = fileexists(var.source_package)
    error_message = "There is no source_package at this path: run scripts/package."
  }
}
