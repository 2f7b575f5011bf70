"""What Cloud Build runs, and what a person can run instead: migrate, smoke test, roll back, costs."""
