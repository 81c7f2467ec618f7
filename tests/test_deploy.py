"""deploy/: one file of steps for people, roots and images, and examples that nginx, systemd and compose can read."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"


def find_program(name, package):
    """The program; skipped with a sentence where it is missing."""
    program = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if program is None:
        pytest.skip(f"{name} is not installed (Debian: apt-get install {package})")
    return program


def test_one_file_of_steps_for_the_root_and_the_image():
    steps = (DEPLOY / "steps.sh").read_text()
    assert re.findall(r"^  (app|test)\) (.+) ;;$", steps, re.MULTILINE) == [("app", "make install"), ("test", "make test")]
    readme = (ROOT / "README.md").read_text()
    assert "make app" in readme
    assert "make test" in readme
    for user in (DEPLOY / "Dockerfile", DEPLOY / "fresh_system.sh"):
        text = user.read_text()
        for step in ("system", "app", "open"):
            assert re.search(rf"deploy/steps\.sh\"?,? \"?{step}", text), f"{user.name} does without the step {step}"
        assert not re.search(r"pip install|apt-get install(?!\" )(?! debootstrap)", text.replace("# ", "")), user.name
    assert "USER liminal" in (DEPLOY / "Dockerfile").read_text()


@pytest.mark.parametrize("script", ["steps.sh", "fresh_system.sh"])
def test_scripts_are_sound_and_say_how_they_are_used(script):
    shell = "sh" if script == "steps.sh" else "bash"
    subprocess.run([shell, "-n", str(DEPLOY / script)], check=True)
    assert os.access(DEPLOY / script, os.X_OK)
    done = subprocess.run([str(DEPLOY / script)], capture_output=True, text=True)
    assert done.returncode == 2
    assert f"deploy/{script} " in done.stderr


def test_compose_brings_postgresql_and_wants_passwords():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    app, database = compose["services"]["app"], compose["services"]["database"]
    assert app["build"] == {"context": "..", "dockerfile": "deploy/Dockerfile"}
    assert app["environment"]["LIMINAL_DATABASE_URL"].startswith("postgresql://liminal:${POSTGRES_PASSWORD}@database/")
    assert app["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert ":?" in database["environment"]["POSTGRES_PASSWORD"]
    assert ":?" in app["environment"]["LIMINAL_OWNER_KEY"]
    assert app["ports"] == ["127.0.0.1:8501:8501"]
    assert {volume.split(":")[0] for volume in (*app["volumes"], *database["volumes"])} == set(compose["volumes"])


def test_nginx_takes_the_example(tmp_path):
    nginx = find_program("nginx", "nginx-light")
    example = (DEPLOY / "nginx.conf").read_text()
    for header in ("Upgrade $http_upgrade", "X-Forwarded-For", "Host $host"):
        assert header in example
    example = re.sub(r"^ *ssl_certificate.*$", "", example, flags=re.MULTILINE).replace(
        "443 ssl", "18443"
    )  # there is no certificate
    whole = f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ access_log off; {example} }}"
    (tmp_path / "nginx.conf").write_text(whole)
    done = subprocess.run([nginx, "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (tmp_path / "nginx.conf").write_text(whole.replace("proxy_pass", "proxy_past"))
    assert subprocess.run([nginx, "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")], capture_output=True).returncode


def test_systemd_takes_the_example(tmp_path):
    program = find_program("systemd-analyze", "systemd")
    unit = tmp_path / "liminal.service"
    example = (
        (DEPLOY / "liminal.service").read_text().replace("/srv/liminal/.venv/bin/python", "/bin/true").replace("/srv/liminal", "/")
    )

    def complaints(text):
        unit.write_text(text)
        done = subprocess.run([program, "verify", str(unit)], capture_output=True, text=True)
        return [line for line in (done.stdout + done.stderr).splitlines() if "liminal.service" in line]

    assert complaints(example) == []
    assert complaints(example.replace("NoNewPrivileges", "NoNewPrivilege"))
