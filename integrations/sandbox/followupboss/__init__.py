"""Follow Up Boss, API v1, as https://docs.followupboss.com/reference describes it."""
