output "dashboards" {
  description = "Names of the dashboards, by Alexa region."
  value       = { for region, dashboard in google_monitoring_dashboard.stack : region => dashboard.id }
}
