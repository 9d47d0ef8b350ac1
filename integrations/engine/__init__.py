"""How an operation is claimed, sent and settled. The law is docs/architecture.md, "The engine"."""
