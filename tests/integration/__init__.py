"""Integration tests: hms on real Docker Engines of the lab."""
