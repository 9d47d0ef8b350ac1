"""`manage.py import_feedback FILE`: what was said after showings, from a CSV file."""

from integrations.management.import_command import ImportCommand


class Command(ImportCommand):
    help = "Import feedback on known tours from a CSV file. The same file again changes nothing."
    kind = "feedback"
    nouns = "answers"
    whole = "wrong rows"
