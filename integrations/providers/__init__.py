"""How each outside system is spoken to. One folder a provider; deleting it deletes the provider."""
