output "url" {
  description = "The URL of the function."
  value       = google_cloudfunctions2_function.this.service_config[0].uri
}

output "service" {
  description = "The Cloud Run service of the function."
  value       = google_cloudfunctions2_function.this.name
}

output "account" {
  description = "The name of its service account, before the @."
  value       = google_service_account.this.account_id
}

output "account_id" {
  description = "The full name of its service account, for grants on it."
  value       = google_service_account.this.name
}

output "member" {
  description = "Its service account as an IAM member."
  value       = google_service_account.this.member
}
