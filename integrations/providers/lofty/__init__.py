"""Lofty (formerly Chime): https://developer.lofty.com. No contract file is published; what follows is its prose."""
