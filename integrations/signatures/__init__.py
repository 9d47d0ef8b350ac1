"""How providers sign what they send us: pure functions over bytes, each proven on the published vectors."""
