"""Reading a file of tours or feedback: a first pass checks all of it without writing, a second applies it.

`runs.py` has the two entries, `check_file` and `import_file`; `undo.py` takes a run back.
"""
