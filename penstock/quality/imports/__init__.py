"""Checks of other tools read as checks: dbt's schema files and Great Expectations' suites."""
