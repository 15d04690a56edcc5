"""The command line: one short function a command; everything they do is in the rooms below."""

from __future__ import annotations

from penstock.cli import ask, checks, data, features, importing, labels, online, project, serve, training
from penstock.cli.front import main

__all__ = ["ask", "checks", "data", "features", "importing", "labels", "main", "online", "project", "serve", "training"]
