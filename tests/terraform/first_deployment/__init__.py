"""A walk through docs/runbooks/first-deployment.md: every command of the page, run in order and to the letter.

Terraform has a stand-in for its provider, and `gcloud` is a stand-in that refuses what it does not know. Jobs and
functions are the real ones, on this machine, at addresses of Cloud Run and behind a proxy that ends TLS.

    python3 -m tests.terraform.first_deployment --write docs/runbooks/first-deployment-walk.md
"""
