# Everything optional is off: about the price of the smallest database (docs/cost.md). Given up: the cache, so every answer
# is computed (slower, never wrong, and /health says degraded); alerts, objectives and the dashboard; a domain of one's own,
# CDN and Cloud Armor; BigQuery; high availability.
environment = "dev"
vpc_egress  = "direct"
redis       = { tier = "NONE" }
monitoring  = false
