"""Known holes in what Liminal installs: every pinned version is looked up, and one hole fails.

A closed network reaches no database of holes. Then nothing has been audited, and this says so in capitals; it fails only where
LIMINAL_AUDIT=strict asks for it. A tool that breaks in any other way fails always.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SERVICES = ("pypi", "osv")
AWAY = ("ConnectionError", "ConnectTimeout", "ReadTimeout", "ProxyError", "SSLError", "NameResolutionError", "Could not connect")
"""What pip-audit says where it reaches no database."""


@dataclass
class Found:
    """What one database said. holes: 'name version: ids'; unknown: packages that it was asked about in vain."""

    audited: int = 0
    holes: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    away: bool = False
    broken: str = ""


def read(code: int, output: str, errors: str) -> Found:
    """What pip-audit's JSON, words and exit code mean."""
    try:
        rows: Sequence[Mapping[str, Any]] = list(json.loads(output)["dependencies"])
    except (ValueError, KeyError, TypeError):
        if any(word in errors for word in AWAY):
            return Found(away=True)
        return Found(broken=errors.strip()[-2000:] or f"pip-audit printed nothing and ended with {code}")
    found = Found()
    for row in rows:
        if "vulns" not in row:
            found.unknown.append(str(row["name"]))
            continue
        found.audited += 1
        if row["vulns"]:
            holes = (f"{hole['id']} (mended in {', '.join(hole['fix_versions']) or 'no version'})" for hole in row["vulns"])
            found.holes.append(f"{row['name']} {row['version']}: {'; '.join(holes)}")
    if code and not found.holes:
        found.broken = errors.strip()[-2000:] or f"pip-audit ended with {code}"
    return found


def verdict(answers: Mapping[str, Found], strict: bool) -> tuple[int, list[str]]:
    """Exit code and what to print: 1 for a hole or a broken tool, 3 for no answer where one is demanded, else 0."""
    lines = [line for service, each in answers.items() for line in _lines(service, each)]
    if any(each.holes or each.broken for each in answers.values()):
        return 1, [*lines, "AUDIT FAILED: see above."]
    reached = [set(each.unknown) for each in answers.values() if each.audited]
    missing = set.intersection(*reached) if reached else set()
    if not reached:
        said = "NOTHING WAS AUDITED: no database of holes can be reached from here. Run `python .ci/audit.py` where one can."
    elif missing:
        said = f"NOT AUDITED, since no database knows them: {', '.join(sorted(missing))}."
    else:
        return 0, [*lines, "No known holes."]
    return 3 if strict else 0, [*lines, said]


def _lines(service: str, found: Found) -> list[str]:
    if found.broken:
        return [f"{service}: pip-audit broke: {found.broken}"]
    if found.away:
        return [f"{service}: cannot be reached."]
    return [
        f"{service}: {found.audited} packages audited, {len(found.unknown)} unknown to it.",
        *(f"  HOLE {hole}" for hole in found.holes),
    ]


def ask(service: str, files: Sequence[Path], extra: Sequence[str] = ()) -> Found:
    """One run of pip-audit over files of exact pins; nothing is installed or resolved."""
    command = [sys.executable, "-m", "pip_audit", "-s", service, "--format", "json", "--progress-spinner", "off"]
    command += ["--disable-pip", "--no-deps", "--timeout", "10", *extra]
    for file in files:
        command += ["--requirement", str(file)]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    except subprocess.TimeoutExpired:
        return Found(away=True)
    return read(done.returncode, done.stdout, done.stderr)


def main() -> int:
    """Ask every database about every pin."""
    files = [*sorted(ROOT.glob("requirements*.txt")), ROOT / "constraints.txt"]
    code, lines = verdict({service: ask(service, files) for service in SERVICES}, os.environ.get("LIMINAL_AUDIT") == "strict")
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main())
