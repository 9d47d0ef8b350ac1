"""Lofty as https://developer.lofty.com describes it."""
