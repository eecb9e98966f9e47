"""Rows of public datasets as our records: a table of the columns that hold what, and what is refused by name. Pure."""
