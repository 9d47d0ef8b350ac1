"""How the product is checked: `manage.py test`, `manage.py lint` and `manage.py lock`."""
