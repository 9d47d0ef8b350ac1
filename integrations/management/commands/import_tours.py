"""`manage.py import_tours FILE`: tours and their stops from a CSV file."""

from integrations.management.import_command import ImportCommand


class Command(ImportCommand):
    help = "Import tours from a CSV file, one row a stop. The same file again changes nothing; interrupted, it goes on."
    kind = "tours"
    nouns = "tours"
    whole = "each tour that has a wrong row, whole,"
