"""GoHighLevel (LeadConnector), API v2: https://github.com/GoHighLevel/highlevel-api-docs."""
