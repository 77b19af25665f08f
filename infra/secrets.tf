# The secrets, without their values: those are added with other tools, so that
# none is ever in Terraform's state. A function that cannot read its secrets
# stops at its start, and is not deployed. Therefore the first time:
#
#   terraform apply -target=google_secret_manager_secret.gatepost
#
# then the commands that it prints (output secrets), then terraform apply.

locals {
  introspection = startswith(var.grantee.resolver, "introspection:")

  # By name; the value is where it is kept, null for wherever Google likes.
  # A keyset opens the tokens of one region, and stays there as they do.
  secrets = merge(
    { gatepost-lwa-credentials = null },
    { for region, stack in var.regions : "gatepost-token-keyset-${lower(region)}" => stack.location },
    local.introspection ? { gatepost-grantee-credentials = null } : {},
  )
}

resource "google_secret_manager_secret" "gatepost" {
  for_each = local.secrets

  project   = local.project
  secret_id = each.key

  replication {
    dynamic "auto" {
      for_each = each.value == null ? [1] : []
      content {}
    }
    dynamic "user_managed" {
      for_each = each.value == null ? [] : [each.value]
      content {
        replicas {
          location = user_managed.value
        }
      }
    }
  }

  # The tokens in a database, which outlives a destroy, are worth nothing without
  # their keyset. So Terraform leaves a secret where it is when it is to be no
  # more, or when its stack moves: another place would be another secret, with
  # no value.
  deletion_policy = "ABANDON"

  lifecycle {
    ignore_changes = [replication]
  }
}
