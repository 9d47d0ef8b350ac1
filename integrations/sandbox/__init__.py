"""A stand-in for the vendors: it answers as their documentation says, and writes every request down before it answers.

It shares no code with the adapters it judges and needs nothing but the standard library.
Start it with ``python -m integrations.sandbox --port 8001 --data DIR``.
"""
