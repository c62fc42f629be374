"""Hides the package of this name, whose grammar takes two seconds to build.

Jupyter and ray would load it, through jsonschema, in every process, to check international web
addresses, of which nothing here has any.
"""

raise ImportError
