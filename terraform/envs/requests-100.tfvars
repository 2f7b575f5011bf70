# 100 requests/s at the peak. Written by: ./aisle simulate --requests-per-s 100 --tfvars
# Set these too: domain, public_access = "load_balancer", cors_origins, alert_email, billing_account.
# max_connections assumes traffic through the load balancer alone; the function edge would need 80 more.
environment    = "prod"
bigquery       = true
warm_instances = 1
vpc_egress     = "connector"

database = {
  tier            = "db-custom-1-5376"
  disk_gb         = 50 # grows automatically, to at most 10 times this size
  max_connections = 250
}

redis = { tier = "STANDARD_HA", memory_gb = 5 }

function_instances = {
  products           = 2
  events             = 2
  collect            = 2
  recommendations    = 2
  cart               = 2
  accounts           = 2
  admin              = 2
  web                = 2
  update_preferences = 2
  update_popularity  = 2
  refresh_catalog    = 2
}

# the job alone cannot train this many pairs and products: docs/runbooks/spark.md
similarity_engine = "auto"

# peak throughput to PostgreSQL and Redis, in Mbit/s
network_mbps = 12
