# Highly available and protected from deletion. Set these too; this profile has no values for them:
#   domain          = "shop.example.com"
#   cors_origins    = ["https://shop.example.com"]
#   alert_email     = "oncall@example.com"
#   billing_account = "012345-6789AB-CDEF01"
environment    = "prod"
bigquery       = true
warm_instances = 1
