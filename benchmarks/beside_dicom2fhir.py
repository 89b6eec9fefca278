"""dicom2fhir 0.1.25 in an environment of its own: it needs fhir.resources 8.1.0, which is not ours."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

__all__ = ["seconds_per_instance"]

_HOME: Final = Path(__file__).parents[1] / ".venv" / "dicom2fhir"
_PINS: Final = ("dicom2fhir==0.1.25", "fhir.resources==8.1.0")
_SCRIPT: Final = Path(__file__).with_name("beside_dicom2fhir_run.py")
_INSTALL_S: Final = 240
_RUN_S: Final = 120


def seconds_per_instance(headers: Sequence[str]) -> float | None:
    """CPU seconds it takes per instance of a study; None where it cannot be installed or fails."""
    python = _HOME / "bin" / "python"
    try:
        if not (_HOME / ".installed").exists():
            subprocess.run([sys.executable, "-m", "venv", _HOME], check=True, capture_output=True, timeout=_INSTALL_S)
            install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *_PINS]
            subprocess.run(install, check=True, capture_output=True, timeout=_INSTALL_S)
            (_HOME / ".installed").touch()
        done = subprocess.run(
            [python, _SCRIPT], input="\n".join(headers), check=True, capture_output=True, text=True, timeout=_RUN_S
        )
    except (subprocess.SubprocessError, OSError) as error:
        print(f"dicom2fhir was not measured: {error}", file=sys.stderr)
        return None
    return float(done.stdout.split()[-1])
