"""Model families: one file each, named like the family, registering itself."""

from hpo_lib.families.contract import family_names, get_family

__all__ = ["family_names", "get_family"]
