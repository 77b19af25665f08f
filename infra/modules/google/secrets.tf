# The secrets, without their values, which are added with other tools so that none
# is in Terraform's state. A function that cannot read its secrets ends at its
# start, and its deployment fails. Therefore the first time:
#
#   terraform apply -target=module.google.google_secret_manager_secret.gatepost
#
# then the commands that it prints (output secrets), then terraform apply.

locals {
  introspection = startswith(var.grantee.resolver, "introspection:")

  # By name; the value is the location, null for automatic replication. A keyset
  # opens the tokens of one region, and stays in their location.
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

  # A database outlives a destroy, and its tokens are useless without their keyset.
  # So Terraform abandons a secret instead of deleting it, and does not move it with
  # its stack: another location would be another secret, without a value.
  deletion_policy = "ABANDON"

  lifecycle {
    ignore_changes = [replication]
  }
}
