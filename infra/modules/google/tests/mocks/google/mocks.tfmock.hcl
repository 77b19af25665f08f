mock_data "google_project" {
  defaults = { number = "123456" }
}
mock_resource "google_cloudfunctions2_function" {
  defaults = { state = "ACTIVE", service_config = { uri = "https://function-fake.a.run.app" } }
}
mock_resource "google_service_account" {
  defaults = {
    email  = "account-fake@maker-prod.iam.gserviceaccount.com"
    member = "serviceAccount:account-fake@maker-prod.iam.gserviceaccount.com"
    name   = "projects/maker-prod/serviceAccounts/account-fake@maker-prod.iam.gserviceaccount.com"
  }
}
