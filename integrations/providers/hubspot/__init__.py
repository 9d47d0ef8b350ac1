"""HubSpot, CRM API v3: https://developers.hubspot.com/docs/api-reference/error-handling and the guides beside it."""
