"""Commands of a delivery, run by Cloud Build or by hand: migrate, smoke test, roll back, costs."""
