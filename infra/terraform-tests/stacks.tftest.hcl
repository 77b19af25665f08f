# override_during, since Terraform 1.11, gives a plan the values that are known only
# after the apply. Nothing is applied: Terraform would destroy it again, which the
# subscription for device events forbids.

mock_provider "google" {
  source          = "./modules/google/tests/mocks/google"
  override_during = plan
}

mock_provider "aws" {
  alias  = "na"
  source = "./terraform-tests/mocks/aws-na"
}

mock_provider "aws" {
  alias  = "eu"
  source = "./terraform-tests/mocks/aws-eu"
}

mock_provider "aws" {
  alias  = "fe"
  source = "./terraform-tests/mocks/aws-fe"
}

variables {
  aws_account_id = "123456789012"
  grantee        = { resolver = "jwt:https://id.maker.example" }
  project_id     = "maker-prod"
  proxy_package  = "terraform-tests/package.txt"
  regions        = { EU = { location = "europe-west1", firestore_location = "eur3" } }
  skill_id       = "amzn1.ask.skill.00000000-0000-4000-8000-0123456789ab"
  source_package = "terraform-tests/package.txt"
}

run "one_region" {
  command = plan

  assert {
    condition     = keys(output.stacks) == ["EU"] && keys(module.aws.arns) == ["EU"]
    error_message = "One region must make one stack and one proxy."
  }
  assert {
    condition = { for name, value in output.stacks["EU"] : name => value if !contains(["environment", "lambda_arn", "urls"], name) } == {
      location   = "europe-west1"
      aws_region = "eu-west-1"
      caller     = "account-fake@maker-prod.iam.gserviceaccount.com"
      database   = "gatepost-eu"
      lambda     = "principal://iam.googleapis.com/projects/123456/locations/global/workloadIdentityPools/gatepost/subject/arn:aws:sts::123456789012:assumed-role/gatepost-skill-proxy-eu"
    }
    error_message = "The EU stack's output differs."
  }
  assert {
    condition     = keys(output.stacks["EU"].urls) == ["acceptgrant", "refreshshard", "refreshtokens", "sendevent", "skillevent"]
    error_message = "The output must have every function's address."
  }
  assert {
    condition     = length(output.own_lambdas) == 0
    error_message = "With a proxy, the maker needs no environment for one."
  }
}

run "three_regions" {
  command = plan

  variables {
    regions = {
      NA = { location = "us-east4", firestore_location = "nam5" }
      EU = { location = "europe-west1", firestore_location = "eur3" }
      FE = { location = "us-west1", firestore_location = "us-west1" }
    }
  }

  assert {
    condition     = keys(module.aws.arns) == ["EU", "FE", "NA"]
    error_message = "Each region must have a proxy."
  }
  assert {
    condition = { for region, stack in output.stacks : region => "${stack.location} ${stack.aws_region} ${stack.database}" } == {
      NA = "us-east4 us-east-1 gatepost-na"
      EU = "europe-west1 eu-west-1 gatepost-eu"
      FE = "us-west1 us-west-2 gatepost-fe"
    }
    error_message = "Each stack must have its own location and database."
  }
  assert {
    condition = { for region, stack in output.stacks : region => [
      for function in values(stack.environment) : function.ALEXA_REGIONS
    ] } == { for region in ["NA", "EU", "FE"] : region => [for _ in range(5) : region] }
    error_message = "A stack's functions must serve its region only."
  }
  assert {
    condition = { for region, stack in output.stacks : region => stack.environment.sendevent.TOKEN_KEYSET } == {
      for region in ["NA", "EU", "FE"] : region => "projects/maker-prod/secrets/gatepost-token-keyset-${lower(region)}"
    }
    error_message = "Each stack must have a keyset of its own."
  }
}

run "key_set_reaches_the_stacks" {
  command = plan

  variables {
    grantee = { resolver = "jwt:https://id.maker.example", jwks = "https://id.maker.example/policy/keys?p=1" }
  }

  assert {
    condition     = output.stacks["EU"].environment.acceptgrant.GRANTEE_JWKS == "https://id.maker.example/policy/keys?p=1"
    error_message = "The address of the keys must reach AcceptGrant."
  }
}

run "settings_reach_the_stacks" {
  command = plan

  variables {
    event_checks       = "advise"
    grantee            = { resolver = "introspection:https://id.maker.example/me", claim = "customer", audience = "home" }
    lwa_max_rate       = 50
    max_event_age      = "1h"
    refresh_idle_after = "720h"
    refresh_schedule   = "*/2 * * * *"
    refresh_shards     = 64
    skill              = "lamps"
  }

  assert {
    condition = (
      output.stacks["EU"].environment.sendevent.EVENT_CHECKS == "advise" &&
      output.stacks["EU"].environment.sendevent.MAX_EVENT_AGE == "1h" &&
      output.stacks["EU"].environment.sendevent.REFRESH_IDLE_AFTER == "720h" &&
      output.stacks["EU"].environment.refreshshard.LWA_MAX_RATE == "50" &&
      output.stacks["EU"].environment.refreshshard.REFRESH_PERIOD == "2m" &&
      output.stacks["EU"].environment.refreshtokens.REFRESH_SHARDS == "64" &&
      output.stacks["EU"].environment.sendevent.SKILL == "lamps"
    )
    error_message = "Settings must reach the functions."
  }
  assert {
    condition = [for variable in ["GRANTEE_RESOLVER", "GRANTEE_CLAIM", "GRANTEE_AUDIENCE"] : output.stacks["EU"].environment.acceptgrant[variable]] == [
      "introspection:https://id.maker.example/me", "customer", "home",
    ]
    error_message = "The identity provider must reach AcceptGrant."
  }
}

run "own_lambda_role" {
  command = plan

  variables {
    regions = {
      NA = { location = "us-west2", firestore_location = "nam5", own_lambda_role = "maker-smart-home" }
      EU = { location = "europe-west1", firestore_location = "eur3" }
    }
  }

  assert {
    condition     = keys(module.aws.arns) == ["EU"] && output.stacks["NA"].lambda_arn == null
    error_message = "If the maker has a Lambda, none must be created."
  }
  assert {
    condition     = endswith(output.stacks["NA"].lambda, ":assumed-role/maker-smart-home") && endswith(output.stacks["EU"].lambda, ":assumed-role/gatepost-skill-proxy-eu")
    error_message = "The maker's role must be trusted by its own stack only."
  }
  assert {
    condition = output.own_lambdas == {
      NA = {
        ACCEPT_GRANT_URL         = "https://function-fake.a.run.app"
        SKILL_EVENT_URL          = "https://function-fake.a.run.app"
        GOOGLE_SERVICE_ACCOUNT   = "account-fake@maker-prod.iam.gserviceaccount.com"
        GOOGLE_WORKLOAD_PROVIDER = "//iam.googleapis.com/projects/123456/locations/global/workloadIdentityPools/gatepost/providers/aws-lambda"
      }
    }
    error_message = "The output must have the environment of the maker's own Lambda."
  }
}
