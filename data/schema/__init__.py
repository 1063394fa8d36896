"""The schema, one file for each migration; each says why it is there.

A migration that has been released is never edited: a change is a new file with the next number.
"""

from importlib import import_module
from pkgutil import iter_modules

from sqlite_utils.migrations import Migrations

migrations = Migrations("nightshift")

for step in sorted(module.name for module in iter_modules(__path__)):
    import_module(f"{__name__}.{step}")
