output "urls" {
  description = "The URL of each function and job."
  value       = { for name, function in module.function : name => function.url }
}

output "url" {
  description = "The base URL of all public paths: the API, the storefront, the console at /console and the API reference at /docs."
  value       = local.public_url
}

output "sources" {
  description = "The source archive of each function. A rollback passes them as var.pinned_sources."
  value       = merge({ for name, object in google_storage_bucket_object.source : name => object.name }, var.pinned_sources)
}

output "database" {
  description = "The connection name of the Cloud SQL instance, and the name of its database."
  value       = { instance = google_sql_database_instance.this.connection_name, name = google_sql_database.this.name }
}

output "feeds" {
  description = "The bucket for catalog feeds and event histories."
  value       = google_storage_bucket.feeds.url
}

output "next" {
  description = "The commands to run next."
  value       = <<-EOT
    # bring the database's schema up to date; safe to repeat
    curl --fail-with-body -X POST -H "Authorization: Bearer $(gcloud auth print-identity-token)" ${module.function[local.migrator].url}
    # let the first admin in: prints a link with which this address can set its password once
    python3 -m delivery.admin --outputs <(terraform -chdir=terraform output -json) YOUR-EMAIL
    # the administrator's token
    gcloud secrets versions access latest --secret=aisle-admin-token --project=${var.project_id}
    # check that it works
    python3 -m delivery.smoke --outputs <(terraform -chdir=terraform output -json)
  EOT
}

output "address" {
  description = "The address for the domain's A record; null without a domain."
  value       = one(values(google_compute_global_address.balancer)[*].address)
}
