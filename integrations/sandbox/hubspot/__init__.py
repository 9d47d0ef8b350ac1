"""HubSpot, as https://developers.hubspot.com/docs and the vendor's public specifications describe it."""
