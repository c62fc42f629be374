"""Puts notebooks, dataset TOMLs and the site file into the wheel; all else is in pyproject.toml."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = ("notebooks/*.ipynb", "datasets/[!R]*.*", "slurm/site.env")


class BuildWithShipped(build_py):
    """Copies them to ``hpo_lib/shipped/``, where `hpo_lib.paths` finds them outside a checkout."""

    def run(self) -> None:
        """Build as usual, then copy."""
        super().run()
        if not self.editable_mode:
            for file in [file for pattern in SHIPPED for file in sorted(Path().glob(pattern))]:
                to = Path(self.build_lib) / "hpo_lib" / "shipped" / file
                self.mkpath(str(to.parent))
                self.copy_file(str(file), str(to))


setup(cmdclass={"build_py": BuildWithShipped})
