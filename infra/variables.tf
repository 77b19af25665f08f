variable "project_id" {
  description = "Id of the Google Cloud project that everything is created in. It must exist and have a billing account."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "The project_id is 6 to 30 lower-case letters, digits and hyphens, starting with a letter."
  }
}

variable "regions" {
  description = <<-EOT
    The stacks, by Alexa region: NA, EU or FE. A skill needs one for each region it is published in.
      location            Google Cloud region of the stack's functions, near the region's event gateway
      firestore_location  where the customers' tokens are kept: a region or a multi-region such as eur3; the
                          stack's location if not given. It can never be changed later.
  EOT
  type = map(object({
    location           = string
    firestore_location = optional(string)
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
      for stack in var.regions : stack.firestore_location == null || can(regex("^[a-z]+(-[a-z]+)?[0-9]+$", stack.firestore_location))
    ])
    error_message = "A firestore_location is a region such as europe-west1 or a multi-region such as eur3."
  }
}

variable "skill" {
  description = "Name of the skill whose grants these stacks hold. It is part of every record's key: under another name no customer is found."
  type        = string
  default     = "default"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]{1,64}$", var.skill))
    error_message = "The skill is 1 to 64 letters, digits, dots, underscores and hyphens."
  }
}
