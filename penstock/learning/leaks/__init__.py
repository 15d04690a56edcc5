"""What knows the future: the audit of a question's data."""
