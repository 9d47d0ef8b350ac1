"""Follow Up Boss, API v1: https://docs.followupboss.com/reference."""
