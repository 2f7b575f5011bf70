output "url" {
  description = "Where it is called."
  value       = google_cloudfunctions2_function.this.service_config[0].uri
}

output "service" {
  description = "The Cloud Run service behind it."
  value       = google_cloudfunctions2_function.this.name
}

output "account" {
  description = "The name of its service account, before the @."
  value       = google_service_account.this.account_id
}

output "member" {
  description = "Its service account, as IAM writes it."
  value       = google_service_account.this.member
}
