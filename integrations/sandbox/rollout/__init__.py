"""Rollout's Universal CRM API, as its OpenAPI file (https://github.com/RolloutHQ/crm-activity-sync) describes it."""
