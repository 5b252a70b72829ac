#!/usr/bin/env python3
"""Installs what the tests need beside Go: a Python environment, staticcheck, qemu-aarch64 and Chromium.

usage: setup.py [--requirements FILE ...]

Everything lands in ${HONE_CACHE:-~/.cache/hone}, except qemu and Chromium, which come from the system's packages.  A second run
finds the work done and returns at once.  Runs on the system's Python 3 with nothing installed.
"""
import argparse, hashlib, os, shutil, subprocess, sys
from pathlib import Path

from common import CACHE, locked

HERE = Path(__file__).resolve().parent
STATICCHECK = "honnef.co/go/tools/cmd/staticcheck@v0.8.2"


def run(*cmd, **kw):
    print("setup: " + " ".join(map(str, cmd)), flush=True)
    subprocess.run([str(c) for c in cmd], check=True, **kw)


def may_install():
    return shutil.which("apt-get") is not None and os.geteuid() == 0


def apt(package, why):
    """Installs a Debian package where we may, and says what to do where we may not."""
    if not may_install():
        sys.exit(f"setup: {why}: install the package {package} (as root: apt-get install {package}), then run this again")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "update", "-qq", env=env)
    run("apt-get", "install", "-y", "-qq", "--no-install-recommends", package, env=env)


def venv(requirements):
    """One environment; each requirements file leaves a stamp with its digest, so that a changed file installs again."""
    home = CACHE / "venv"
    python = home / "bin" / "python"
    if subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode if python.exists() else True:
        if subprocess.run([sys.executable, "-c", "import ensurepip"], capture_output=True).returncode:
            apt("python3-venv", "this Python cannot make virtual environments")
        run(sys.executable, "-m", "venv", "--clear", home)
    for file in requirements:
        stamp = home / f".{file.stem}-{hashlib.sha256(file.read_bytes()).hexdigest()[:16]}"
        if not stamp.exists():
            run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", file)
            stamp.touch()


def staticcheck():
    stamp = CACHE / "bin" / ".staticcheck"
    want = f"{STATICCHECK} {subprocess.check_output(['go', 'version'], text=True).strip()}"
    if not stamp.exists() or stamp.read_text() != want:
        run("go", "install", STATICCHECK, env={**os.environ, "GOBIN": str(CACHE / "bin"), "CGO_ENABLED": "0"})
        stamp.write_text(want)


def qemu():
    if shutil.which("qemu-aarch64") is None and os.uname().machine != "aarch64":
        apt("qemu-user", "the arm64 kernels are tested under qemu-aarch64, which is missing")


def chromium():
    """The tests of the HTML report open it in a browser; without one they are skipped, which is said here."""
    why = "the report's page is opened in Chromium, which is missing"
    if any(map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])):
        return
    try:
        if not may_install():
            raise OSError("there is no apt-get, or we are not root")
        apt("chromium", why)
    except (OSError, subprocess.CalledProcessError) as e:
        print(f"setup: SKIPPED: {why} ({e}): the tests that need it are skipped", flush=True)


if __name__ == "__main__":
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--requirements", type=Path, nargs="+", default=[HERE / "requirements.txt"])
    args = ap.parse_args()
    with locked("setup"):
        venv(args.requirements)
        staticcheck()
        qemu()
        chromium()
