"""Composes the product: settings, URLs, the Celery app, the stack that `manage.py up` starts.

The bootstrap runs before anything is installed and loads its file by path, so nothing may be imported here.
"""
