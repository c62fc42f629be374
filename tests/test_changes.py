"""Seven changes that people make: all are made in one copy of the project, each in the files that
CONTRIBUTING names for it and in no other, and then the copy knows the new things.
"""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import ROOT, text_of
from tests.study.processes import python

CALIBRATION, STORAGE = "hpo_lib/scoring/calibration.py", "hpo_lib/records/storage.py"
SETTINGS = "hpo_lib/settings.py"

# Change -> file -> (text in it, its replacement); no text: the file is new.
EDITS = {
    "objective": {
        "hpo_lib/scoring/objectives.py": (
            'Objective("pinball",',
            'Objective("rmse", "RMSE", "rmse"),\n        Objective("pinball",',
        ),
        SETTINGS: ('    "pinball",\n', '    "pinball",\n    "rmse",\n'),
    },
    "family": {
        "hpo_lib/families/mirror_q.py": (
            "",
            "from hpo_lib.families.models import register\n"
            "from hpo_lib.families.nhits_q import NhitsQ\n\n"
            'class MirrorQ(NhitsQ):\n    name, title = "MIRROR_Q", "Mirror"\n\n'
            "register(MirrorQ())\n",
        ),
        "notebooks/mirror_q.ipynb": ("", "{}"),
    },
    "baseline": {
        "hpo_lib/baselines/mirror.py": (
            "",
            "from hpo_lib.baselines.linear import LinearQuantile\n"
            "from hpo_lib.families.models import register\n\n"
            'class Mirror(LinearQuantile):\n    name, title = "MIRROR", "Mirror"\n\n'
            "register(Mirror())\n",
        )
    },
    "figure": {
        "hpo_lib/figures/studies.py": (
            '    "cost": (',
            '    "mirror": (cost, draw_cost),\n    "cost": (',
        ),
        "hpo_lib/figures/captions.toml": ('cost = """', 'mirror = "A mirror."\ncost = """'),
    },
    "stopping rule": {"hpo_lib/study/early_stopping.py": ("Rung(0.3, 0.2)", "Rung(0.4, 0.2)")},
    "storage": {
        STORAGE: ('{"sqlite": self.run.sqlite', '{"mirror": self.run.mirror'),
        SETTINGS: ('STORAGES = ("auto", ', 'STORAGES = ("auto", "mirror", '),
        "hpo_lib/paths.py": (
            '    sqlite = _File("study_',
            '    mirror = _File("mirror_{0.study_name}")\n    sqlite = _File("study_',
        ),
    },
    "calibration": {CALIBRATION: ('MODES = ("none", ', 'MODES = ("none", "mirror", ')},
}

KNOWS = {
    "objective": """
        from hpo_lib.scoring.objectives import OBJECTIVES
        from hpo_lib.settings import Settings
        objectives = Settings.create("NHITS_Q", "heat", objectives="mae,rmse").objectives
        assert objectives == "mae,rmse" and set(OBJECTIVES) == set(settings.OBJECTIVES)""",
    "family": """
        from hpo_lib.families.models import get_family
        from hpo_lib.launch.status import EXPERIMENTS
        assert get_family("MIRROR_Q").title == "Mirror"
        assert len([row for row in EXPERIMENTS if "MIRROR_Q" in str(row)]) == 3""",
    "baseline": """
        from hpo_lib.baselines.contract import baselines
        assert "MIRROR" in baselines() and baselines()["MIRROR"].title == "Mirror" """,
    "figure": """
        from hpo_lib.figures.build import PICTURES
        from hpo_lib.figures.tables import CAPTIONS
        assert "mirror" in PICTURES and CAPTIONS["mirror"] == "A mirror." """,
    "stopping rule": """
        from hpo_lib.study.early_stopping import StoppingRule
        assert StoppingRule().rungs[1].share == 0.4""",
    "storage": """
        from hpo_lib.records.storage import Storage
        chosen = settings.Settings.create("NHITS_Q", "heat", storage="mirror", job_id="1")
        assert Storage(chosen.files("heat"), "mirror").file.name == "mirror_NHITS_Q_heat_1" """,
    "calibration": """
        from hpo_lib.benchmark.tables import Benchmark
        from hpo_lib.scoring.calibration import checked_mode
        assert checked_mode("mirror") == "mirror" """,
}


def files_named():
    """Change -> its files, from the table in CONTRIBUTING."""
    table = text_of("CONTRIBUTING.md").split("## What a change touches")[1].split("\n## ")[0]
    rows = (line.split("|")[1:3] for line in table.splitlines() if line.startswith("| "))
    return {name.strip(): re.findall(r"`([^`]+)`", files) for name, files in rows if "`" in files}


def test_when_the_table_of_changes_is_read_then_each_names_at_most_three_files():
    assert set(files_named()) == set(EDITS)
    assert {name: files for name, files in files_named().items() if len(files) > 3} == {}


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """The changes that a copy of the project with all of them knows, and the errors of others."""
    copy = tmp_path_factory.mktemp("changes")
    for part in ("hpo_lib", "notebooks", "datasets"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    for edits in EDITS.values():
        for name, (old, new) in edits.items():
            file = copy / name
            text = file.read_text(encoding="utf-8") if file.exists() else ""
            assert old in text
            file.write_text(text.replace(old, new, 1) if old else text + new, encoding="utf-8")
    return json.loads(python(copy, "-c", ASK, json.dumps(KNOWS), PYTHONPATH=str(copy)).stdout)


ASK = """
import json, sys, textwrap, traceback
from hpo_lib import settings

answers = {}
for change, question in json.loads(sys.argv[1]).items():
    try:
        exec(textwrap.dedent(question), {"settings": settings})
        answers[change] = ""
    except Exception:
        answers[change] = traceback.format_exc()
print(json.dumps(answers))
"""


@pytest.mark.parametrize("change", EDITS)
def test_when_a_change_is_made_in_the_files_named_for_it_then_the_package_knows_it(change, known):
    named = files_named()[change]
    for name, (old, _) in EDITS[change].items():
        if old or (ROOT / name).exists():
            assert name in named
        else:  # a new file, beside the example that is named
            assert str(Path(name).parent) in [str(Path(example).parent) for example in named]
    assert known[change] == ""
