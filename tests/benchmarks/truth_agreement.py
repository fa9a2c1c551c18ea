"""Print how a simulated session's tables agree with the simulated participant's truth.

Run it on the study that ``make demo`` writes: ``python tests/benchmarks/truth_agreement.py demo-study``.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.truth import compare

if __name__ == "__main__":
    study = Path(sys.argv[1])
    for session_file in sorted(study.glob("sourcedata/*/*/*_session.h5")):
        part = session_file.parent.relative_to(study / "sourcedata")
        print(session_file.name)
        for key, value in asdict(
            compare(session_file, study / "derivatives/duchenne" / part)
        ).items():
            print(f"  {key}: {value}")
