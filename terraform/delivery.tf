locals {
  delivers = var.repository != null
}
resource "google_service_account" "delivery" {
  count = local.delivers ? 1 : 0

  account_id   = "aisle-delivery"
  display_name = "Aisle: Cloud Build deploys as this"
}
