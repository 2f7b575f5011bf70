# 10,000 requests/s at the peak. Written by: ./aisle simulate --requests-per-s 10000 --products 1000000 --users 10000000 --tfvars
# Set these too: domain, public_access = "load_balancer", cors_origins, alert_email, billing_account.
# max_connections assumes traffic through the load balancer alone; the function edge would need 80 more.
environment    = "prod"
bigquery       = true
warm_instances = 1
vpc_egress     = "direct"

database = {
  tier            = "db-custom-54-207360"
  disk_gb         = 796 # grows automatically, to at most 10 times this size
  max_connections = 650
}

redis = { tier = "STANDARD_HA", memory_gb = 7 }

function_instances = {
  products           = 26
  events             = 5
  collect            = 2
  recommendations    = 14
  cart               = 9
  accounts           = 2
  admin              = 2
  web                = 2
  update_preferences = 8
  update_popularity  = 2
  refresh_catalog    = 2
}

# the job alone cannot train this many pairs and products: docs/runbooks/spark.md
similarity_engine = "auto"
