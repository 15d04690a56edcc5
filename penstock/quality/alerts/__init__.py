"""Telling people that a check failed: by webhook, e-mail or a command, once for each episode."""
