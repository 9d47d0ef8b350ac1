"""The pages staff work with. Importing this package registers them."""

from . import audit, connection, feedback, imports, operation, people, tour

__all__ = ["audit", "connection", "feedback", "imports", "operation", "people", "tour"]
