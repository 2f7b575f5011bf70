# 10,000 requests/s at the peak. Written by: ./aisle simulate --requests-per-s 10000 --products 1000000 --users 10000000 --tfvars
# Set these too, as in prod.tfvars: domain, cors_origins, alert_email, billing_account
environment    = "prod"
bigquery       = true
warm_instances = 1
vpc_egress     = "direct"

database = {
  tier            = "db-custom-82-314880"
  disk_gb         = 796 # it grows by itself, to at most 10 times as much
  max_connections = 850
}

redis = { tier = "STANDARD_HA", memory_gb = 7 }

function_instances = {
  products           = 42
  events             = 8
  collect            = 2
  recommendations    = 18
  cart               = 12
  accounts           = 2
  admin              = 2
  web                = 2
  update_preferences = 11
  update_popularity  = 3
  refresh_catalog    = 2
}
