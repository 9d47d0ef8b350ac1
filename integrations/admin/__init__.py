"""The pages staff work with. Importing this package registers them."""

from . import access, audit, connection, feedback, imports, operation, people, tour, webhooks

__all__ = ["access", "audit", "connection", "feedback", "imports", "operation", "people", "tour", "webhooks"]
