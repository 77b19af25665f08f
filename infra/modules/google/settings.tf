# The variables of Gatepost's behaviour; variables.tf has those of its place.

variable "device_events" {
  description = <<-EOT
    The topics to which the maker's cloud publishes device events.
      shared    one, device-events, for all regions
      regional  one for each stack, device-events-na and so on, with messages stored in the stack's location only.
                Dead letters, which contain the event, and grant-events, which name the customer, are still shared, and
                Pub/Sub chooses their location.
  EOT
  type        = string
  default     = "shared"
  nullable    = false

  validation {
    condition     = contains(["shared", "regional"], var.device_events)
    error_message = "The device_events are shared or regional."
  }
}

variable "event_checks" {
  description = "Checks of device events against Amazon's rules: strict refuses an event that Amazon would refuse, advise only logs the reason, off checks only the envelope."
  type        = string
  default     = "strict"
  nullable    = false

  validation {
    condition     = contains(["strict", "advise", "off"], var.event_checks)
    error_message = "The event_checks are strict, advise or off."
  }
}

variable "exclude_accepted" {
  description = <<-EOT
    Share of customers whose log lines for accepted events are not stored, such as 0.9; 0 stores all. Either all of a
    customer's lines are stored or none, and lines with any other outcome are always stored.
  EOT
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = can(regex("^(0|1|0\\.[0-9]*[1-9])$", var.exclude_accepted))
    error_message = "The exclude_accepted is 0, 1 or a share between them such as 0.9."
  }
}

variable "grantee" {
  description = <<-EOT
    How Gatepost resolves a directive's bearer token to a customer, at the maker's identity provider.
      resolver  userinfo:URL, introspection:URL or jwt:ISSUER. introspection needs one more secret, the client
                credentials {"client_id":…,"client_secret":…}.
      claim     the claim with the customer's id; by default sub
      audience  the required audience of a token; not with userinfo. jwt without one accepts any token of the issuer.
      jwks      with jwt, the address of the keys if the issuer has no discovery document below its URL
  EOT
  type = object({
    resolver = string
    claim    = optional(string)
    audience = optional(string)
    jwks     = optional(string)
  })
  nullable = false

  validation {
    condition     = can(regex("^(userinfo|introspection|jwt):https://[^/?#@\\s]+([/?][^#\\s]*)?$", var.grantee.resolver))
    error_message = "The resolver of grantee is userinfo:URL, introspection:URL or jwt:ISSUER, with an https URL that has no user and no fragment."
  }

  validation {
    condition     = !can(regex("^jwt:.*\\?", var.grantee.resolver))
    error_message = "The resolver of grantee is an issuer, which has no query."
  }

  validation {
    condition     = var.grantee.audience == null || !startswith(var.grantee.resolver, "userinfo:")
    error_message = "With userinfo grantee has no audience, since nothing could check it: use introspection or jwt."
  }

  validation {
    condition     = var.grantee.jwks == null || startswith(var.grantee.resolver, "jwt:") && can(regex("^https://[^/?#@\\s]+([/?][^#\\s]*)?$", var.grantee.jwks))
    error_message = "The jwks of grantee is an https URL that has no user and no fragment, and only jwt has one."
  }
}

variable "lwa_max_rate" {
  description = "Maximum rate of each stack's sweep, in refreshes a second at Login with Amazon; 0 means no limit. Events that need a token are not limited."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.lwa_max_rate >= 0 && var.lwa_max_rate <= 100000 && floor(var.lwa_max_rate) == var.lwa_max_rate
    error_message = "The lwa_max_rate is 0 to 100000, a whole number."
  }
}

variable "max_event_age" {
  description = "Maximum age of a device event when it is sent to Alexa, such as 5m or 1h30m."
  type        = string
  default     = "5m"
  nullable    = false

  validation {
    condition     = can(regex("^([0-9]+h)?([0-9]+m)?([0-9]+s)?$", var.max_event_age)) && can(regex("[1-9]", var.max_event_age))
    error_message = "The max_event_age is a duration of hours, minutes and seconds such as 5m."
  }
}

variable "refresh_idle_after" {
  description = "Time without an event after which a customer's tokens are refreshed only when the next event needs them, such as 168h, which infra/README.md, Later, recommends; off always refreshes them."
  type        = string
  default     = "off"
  nullable    = false

  validation {
    condition     = var.refresh_idle_after == "off" || can(regex("^[1-9][0-9]*h([0-9]+m)?([0-9]+s)?$", var.refresh_idle_after))
    error_message = "The refresh_idle_after is off or a duration of at least an hour such as 720h."
  }
}

variable "refresh_schedule" {
  description = <<-EOT
    Schedule of the sweeps, a cron expression in UTC: every 1 to 5 minutes. A shard that is not swept before the next
    sweep is left to that one. Tokens are due for a refresh 13 minutes or more before they expire: no customer is
    without one while Login with Amazon is down for up to ten minutes with a sweep every minute, and up to six with
    one every 5 minutes.
  EOT
  type        = string
  default     = "* * * * *"
  nullable    = false

  validation {
    # Each divides the hour, so that the interval is the same across hours.
    condition     = can(regex("^\\*(/[1-5])?( \\*){4}$", var.refresh_schedule))
    error_message = "The refresh_schedule is */N * * * * with N from 1 to 5, or * * * * *."
  }
}

variable "refresh_shards" {
  description = "Number of parallel parts of a sweep."
  type        = number
  default     = 16
  nullable    = false

  validation {
    condition     = var.refresh_shards >= 1 && var.refresh_shards <= 256 && floor(var.refresh_shards) == var.refresh_shards
    error_message = "The refresh_shards are 1 to 256, a whole number."
  }
}

variable "scaling" {
  description = <<-EOT
    Resources that differ from the defaults (modules/stack/functions.tf), by function: AcceptGrant,
    SkillEvent, RefreshTokens, RefreshShard, SendEvent. They apply to every stack.
      min_instances  kept warm, and billed, at all times
      max_instances  when all are busy, further requests wait in Pub/Sub, or are refused
      memory         such as 512Mi or 1Gi
      cpu            whole CPUs; with less than one an instance would handle one request at a time. 4 or more need more
                     memory: set that too.
  EOT
  type = map(object({
    min_instances = optional(number)
    max_instances = optional(number)
    memory        = optional(string)
    cpu           = optional(string)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = length(setsubtract(keys(var.scaling), ["AcceptGrant", "SkillEvent", "RefreshTokens", "RefreshShard", "SendEvent"])) == 0
    error_message = "The keys of scaling are functions: AcceptGrant, SkillEvent, RefreshTokens, RefreshShard and SendEvent."
  }

  validation {
    condition = alltrue(flatten([
      for function in var.scaling : [
        for count in compact([function.min_instances, function.max_instances]) : can(regex("^[0-9]{1,4}$", count))
      ]
    ]))
    error_message = "The min_instances and max_instances of scaling are whole numbers from 0 to 9999."
  }

  validation {
    condition     = alltrue([for function in var.scaling : function.max_instances != 0])
    error_message = "A function without instances would serve no request: max_instances is 1 or more."
  }

  validation {
    condition     = alltrue([for function in var.scaling : function.memory == null || can(regex("^[1-9][0-9]*(Mi|Gi)$", function.memory))])
    error_message = "The memory of scaling is in Mi or Gi, such as 512Mi."
  }

  validation {
    # https://cloud.google.com/run/docs/configuring/services/cpu
    condition     = alltrue([for function in var.scaling : function.cpu == null || can(regex("^[12468]$", function.cpu))])
    error_message = "The cpu of scaling is 1, 2, 4, 6 or 8."
  }
}

variable "skill" {
  description = "Name of the skill of these stacks' grants. It is part of every record's key: under another name no customer is found."
  type        = string
  default     = "default"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]{1,128}$", var.skill))
    error_message = "The skill is 1 to 128 letters, digits, dots, underscores and hyphens."
  }
}
