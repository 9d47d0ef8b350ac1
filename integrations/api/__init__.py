"""The HTTP API: what it takes and shows, and the verbs behind it. docs/api.md is its page for people."""
