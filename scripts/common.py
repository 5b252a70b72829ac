"""What the scripts share: where the cache is, and how two of them keep out of each other's way."""
import contextlib, fcntl, hashlib, json, os
from pathlib import Path

CACHE = Path(os.environ.get("HONE_CACHE") or Path.home() / ".cache" / "hone")


@contextlib.contextmanager
def locked(name):
    """One process at a time: a second one waits, then finds the work done."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f".{name}.lock", "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def digest(*parts):
    """A short digest of files (Path) and strings, for stamps that say what made a thing."""
    h = hashlib.sha256()
    for p in parts:
        h.update(p.read_bytes() if isinstance(p, Path) else p.encode())
    return h.hexdigest()[:16]


def catalogue():
    """The models that hone is tested on: models.json, by name."""
    return json.loads((Path(__file__).resolve().parent / "models.json").read_text())


def chosen(names, full):
    """The named models, or the daily ones, or with full all of them."""
    models = catalogue()
    unknown = [n for n in names if n not in models]
    if unknown:
        raise SystemExit(f"unknown model {unknown[0]}; known: {' '.join(models)}")
    return {n: m for n, m in models.items() if (n in names if names else full or m["tier"] == "daily")}
