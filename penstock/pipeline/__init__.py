"""From a project's files to tables, models and answers: stages, their runner, derived tables, change."""
