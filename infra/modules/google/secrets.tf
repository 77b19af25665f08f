# The secrets, without their values, which are added with other tools so that none
# is in Terraform's state. A function that cannot read its secrets ends at its
# start, and its deployment fails. Therefore the first time:
#
#   terraform apply -target=module.google.google_secret_manager_secret.gatepost \
#     -target=module.google.google_project_iam_member.build
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

  # By name, the keys of the maker's own.
  secret_keys = {
    for name in keys(local.secrets) : name => startswith(name, "gatepost-token-keyset-")
    ? lookup(var.kms_keys.keysets, upper(trimprefix(name, "gatepost-token-keyset-")), null)
    : var.kms_keys.secrets
  }
}

resource "google_secret_manager_secret" "gatepost" {
  for_each = local.secrets

  project   = local.project
  secret_id = each.key
  labels    = var.labels

  version_destroy_ttl = var.version_destroy_ttl

  replication {
    dynamic "auto" {
      for_each = each.value == null ? [1] : []
      content {
        dynamic "customer_managed_encryption" {
          for_each = compact([local.secret_keys[each.key]])
          content {
            kms_key_name = customer_managed_encryption.value
          }
        }
      }
    }
    dynamic "user_managed" {
      for_each = each.value == null ? [] : [each.value]
      content {
        replicas {
          location = user_managed.value

          dynamic "customer_managed_encryption" {
            for_each = compact([local.secret_keys[each.key]])
            content {
              kms_key_name = customer_managed_encryption.value
            }
          }
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
