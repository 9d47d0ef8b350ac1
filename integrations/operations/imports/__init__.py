"""Reading a file of tours or feedback: a first pass checks all of it without writing, a second applies it.

`runs.py` has the two passes, `check_file` and `import_file`; `preview.py` says what the second would do; `uploads.py`
keeps files that came by browser, `work.py` works on them; `undo.py` takes a run back; `samples.py` tells the columns.
"""
