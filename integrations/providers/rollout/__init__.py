"""Rollout's universal CRM API: https://rollout.com/docs (contract: "Universal CRM API Documentation" 1.0)."""
