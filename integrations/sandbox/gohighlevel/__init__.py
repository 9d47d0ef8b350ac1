"""GoHighLevel (LeadConnector) API v2, as https://github.com/GoHighLevel/highlevel-api-docs describes it."""
