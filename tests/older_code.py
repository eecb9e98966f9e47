"""Codes that are not the one at hand, in place of an upgrade of srx between two runs."""

from splitreason_cli.records.data import Code
from splitreason_cli.store.digests import code_of

NO_CODE = Code(sources={}, libraries={})

NOTE = "going on with work that another version of srx began (changed: errors.py; orjson 1.0 -> not used)"


def older_code(module, libraries=(), others=()):
    """As `code_of`, before `errors.py` changed and a library was dropped."""
    code = code_of(module, libraries, others)
    return Code(sources={**code.sources, "errors.py": "0" * 16}, libraries={**code.libraries, "orjson": "1.0"})
