# Everything optional is off, so the cost is about that of the smallest database (docs/cost.md). There is no cache
# (every response is computed, which is slower, and /health reports degraded); no alerts, objectives or dashboard; no
# domain, CDN or Cloud Armor; no BigQuery; and no high availability.
environment = "dev"
vpc_egress  = "direct"
redis       = { tier = "NONE" }
monitoring  = false
