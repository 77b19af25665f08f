# A dashboard for each stack, in sections of charts.

locals {
  logged      = "logging_googleapis_com:byte_count{${local.on_run}"
  on_database = "monitored_resource=\"firestore.googleapis.com/Database\""

  # A chart's queries are PromQL by legend, in which ${labels.x} is a label's value. STACK
  # is the stack's region in lower case, and EVENTS, SHARDS and DATABASE are names of its
  # resources.
  sections = [
    {
      title = "Is Alexa informed?"
      charts = [
        { title = "Outcomes, per minute", unit = "1", limit = null, queries = {
          "$${labels.outcome}" = "sum by (outcome) (rate(${local.series.events},region=\"STACK\"}[5m])) * 60"
        } },
        { title = "From publishing to the gateway's 202", unit = "ms", limit = 3000, queries = {
          for quantile in ["0.5", "0.95", "0.99"] : "p${quantile * 100}" =>
          "histogram_quantile(${quantile}, sum by (le) (rate(${local.series.delivered_ms_bucket},region=\"STACK\"}[5m])))"
        } },
        { title = "Refusals by code, per minute", unit = "1", limit = null, queries = {
          "$${labels.code}" = "sum by (code) (rate(${local.series.refusals},region=\"STACK\"}[5m])) * 60"
        } },
        { title = "Gateway latency, p95", unit = "ms", limit = null, queries = {
          "p95" = "histogram_quantile(0.95, sum by (le) (rate(${local.series.gateway_ms_bucket},region=\"STACK\"}[5m])))"
        } },
        { title = "Accepted events by kind, per minute", unit = "1", limit = null, queries = {
          "$${labels.kind}" = "sum by (kind) (rate(${local.series.events},region=\"STACK\",outcome=\"accepted\"}[5m])) * 60"
        } },
        { title = "Share that misses each objective, over 1 hour", unit = "1", limit = null, queries = {
          for name in keys(local.objectives) : name => replace(local.shares[name]["1h"], local.on_run, "${local.on_run},region=\"STACK\"")
        } },
      ]
    },
    {
      title = "Links"
      charts = [
        { title = "Links, per hour", unit = "1", limit = null, queries = {
          "$${labels.outcome} $${labels.failure}" = "sum by (outcome, failure) (increase(${local.series.links},region=\"STACK\"}[1h]))"
        } },
        { title = "Skill events, per hour", unit = "1", limit = null, queries = {
          "$${labels.kind} $${labels.outcome}" = "sum by (kind, outcome) (increase(${local.series.skill_events},region=\"STACK\"}[1h]))"
        } },
        { title = "Failed announcements, per hour", unit = "1", limit = null, queries = {
          "$${labels.function}" = "sum by (function) (increase(${local.series.announce_errors},region=\"STACK\"}[1h]))"
        } },
      ]
    },
    {
      title = "Tokens"
      charts = [
        { title = "Grants in sweeps, per 5 minutes", unit = "1", limit = null, queries = {
          for name in ["refreshed", "refused", "revoked", "failed"] : name =>
          "sum (increase(${local.series["${name}_sum"]},region=\"STACK\"}[5m]))"
        } },
        { title = "Shards behind, and events that refreshed a token", unit = "1", limit = null, queries = {
          "shards behind" = "sum (increase(${local.series.shards_behind},region=\"STACK\"}[5m]))"
          "renewed"       = "sum (increase(${local.series.renewed},region=\"STACK\"}[5m]))"
        } },
        { title = "Login with Amazon latency, p95", unit = "ms", limit = null, queries = {
          "$${labels.function}" = "histogram_quantile(0.95, sum by (le, function) (rate(${local.series.lwa_ms_bucket},region=\"STACK\"}[5m])))"
        } },
        { title = "Circuit breakers and the brake, per 5 minutes", unit = "1", limit = null, queries = {
          "$${labels.breaker} $${labels.to}" = "sum by (breaker, to) (increase(${local.series.breaker},region=\"STACK\"}[5m]))"
          "brake"                            = "sum (increase(${local.series.braked},region=\"STACK\"}[5m]))"
        } },
      ]
    },
    {
      title = "Queue"
      charts = [
        { title = "Oldest message", unit = "s", limit = min(300, local.max_event_age / 2), queries = {
          "events" = "max (${local.late},subscription_id=\"EVENTS\"})"
          "shards" = "max (${local.late},subscription_id=\"SHARDS\"})"
        } },
        { title = "Waiting messages", unit = "1", limit = null, queries = {
          "$${labels.subscription_id}" = "max by (subscription_id) (${local.waiting},subscription_id=~\"EVENTS|SHARDS|${join("|", var.dead_letters)}\"})"
        } },
        { title = "Age of an event when an attempt begins, p95", unit = "ms", limit = null, queries = {
          "p95" = "histogram_quantile(0.95, sum by (le) (rate(${local.series.event_age_ms_bucket},region=\"STACK\"}[5m])))"
        } },
        { title = "Missed events noted, per 5 minutes", unit = "1", limit = null, queries = {
          "noted" = "sum (increase(${local.series.noted_behind},region=\"STACK\"}[5m]))"
        } },
      ]
    },
    {
      title = "Cost drivers"
      charts = [
        { title = "Instances", unit = "1", limit = null, queries = {
          "$${labels.service_name}" = "sum by (service_name) (${local.instances},service_name=~\"gatepost-STACK-.*\"})"
        } },
        { title = "Requests, per minute", unit = "1", limit = null, queries = {
          "$${labels.service_name}" = "sum by (service_name) (rate(${local.calls},service_name=~\"gatepost-STACK-.*\"}[5m])) * 60"
        } },
        { title = "Firestore operations, per minute", unit = "1", limit = null, queries = {
          for kind in ["read", "write", "delete"] : "${kind}s" =>
          "sum (rate(firestore_googleapis_com:document_${kind}_ops_count{${local.on_database},database_id=\"DATABASE\"}[5m])) * 60"
        } },
        { title = "Logs, per minute", unit = "By", limit = null, queries = {
          "$${labels.service_name}" = "sum by (service_name) (rate(${local.logged},service_name=~\"gatepost-STACK-.*\"}[5m])) * 60"
        } },
      ]
    },
  ]

  # The grid has 48 columns: a section is a line of text, and rows of three charts.
  header_height = 4
  chart_height  = 14
  section_heights = [
    for section in local.sections : local.header_height + local.chart_height * ceil(length(section.charts) / 3)
  ]
  section_tops = [for i in range(length(local.sections) + 1) : sum(concat([0], slice(local.section_heights, 0, i)))]

  tiles = concat(
    flatten([
      for i, section in local.sections : concat(
        [{
          kind   = "sectionHeader"
          title  = section.title
          chart  = null
          x      = 0
          y      = local.section_tops[i]
          width  = 48
          height = local.header_height
        }],
        [for n, chart in section.charts : {
          kind   = "xyChart"
          title  = chart.title
          chart  = chart
          x      = 16 * (n % 3)
          y      = local.section_tops[i] + local.header_height + local.chart_height * floor(n / 3)
          width  = 16
          height = local.chart_height
        }],
      )
    ]),
    [{
      kind   = "logsPanel"
      title  = "Last errors"
      chart  = null
      x      = 0
      y      = local.section_tops[length(local.sections)]
      width  = 48
      height = 16
    }],
  )

  # Each dashboard by region, as the API has it. A zero is left out, since the API leaves
  # it out too, and Terraform would always see a difference.
  dashboards = {
    for region, stack in var.stacks : region => {
      displayName = "Gatepost in ${region}"
      mosaicLayout = {
        columns = 48
        tiles = [for tile in local.tiles : merge(
          { for name, value in { xPos = tile.x, yPos = tile.y, width = tile.width, height = tile.height } : name => value if value != 0 },
          { widget = { for name, content in {
            title         = tile.title
            sectionHeader = {}
            logsPanel = {
              filter = "resource.type=\"cloud_run_revision\" resource.labels.service_name=~\"^gatepost-${lower(region)}-\" severity>=ERROR"
            }
            xyChart = { for name, content in {
              dataSets = [for legend, query in try(tile.chart.queries, {}) : {
                legendTemplate = legend
                plotType       = "LINE"
                targetAxis     = "Y1"
                timeSeriesQuery = {
                  unitOverride = tile.chart.unit
                  prometheusQuery = replace(replace(replace(replace(query,
                  "STACK", lower(region)), "EVENTS", stack.subscription), "SHARDS", stack.refresh_subscription), "DATABASE", stack.database)
                }
              }]
              thresholds = [{ value = try(tile.chart.limit, null) }]
            } : name => content if name == "dataSets" || try(tile.chart.limit, null) != null }
          } : name => content if contains(["title", tile.kind], name) } },
        )]
      }
    }
  }
}

resource "google_monitoring_dashboard" "stack" {
  for_each = local.dashboards

  project        = var.project_id
  dashboard_json = jsonencode(each.value)
}
