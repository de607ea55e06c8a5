"""Keeps the claim of a borrowed machine and the record of its changes, and restores it.

`lab` runs this over SSH. A copy is in /var/lib/lab, so that the machine's owner can restore it alone:
    sudo python3 /var/lib/lab/guest_claim.py restore
Verbs: claim, record, stop, restore; one JSON document as argument, one on stdout. It imports no other module here.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Union

WORK = "/var/lib/lab"
GONE = WORK + ".gone"  # a work folder that is being removed
CLAIM = WORK + "/claim.json"
CHANGES = WORK + "/changes.json"
APT_CONF = WORK + "/apt.conf"
GUEST_MOUNTS = WORK + "/mounts.json"
PLAIN = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
ENDING = ""  # the text of ending.py, inserted by the sender
INST = re.compile(r"^Inst (\S+) (?:\[(\S+)\] )?\((\S+)")
# apt uses lab's folders, so that its own lists, cache and marks stay unchanged
APT_PLACES = {"State::lists": "lists", "Cache": "cache", "State::extended_states": "extended_states"}
APT_TEXT = "".join(f'Dir::{name} "{WORK}/apt/{place}";\n' for name, place in APT_PLACES.items())

Doc = dict[str, Any]  # a JSON object
Outcome = Union[bool, str, None]  # of an undo. True: done; None: nothing to do; text: why it was not undone


class ClaimError(Exception):
    """The verb failed; the text is the reason."""


def read_json(path: str) -> Any:
    """None for a missing file, one that is not a regular file, or not JSON."""
    with contextlib.suppress(OSError, ValueError, RecursionError), open(os.open(path, PLAIN), "rb") as file:
        return json.loads(file.read(64 << 20)) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    return None


def claimed() -> Doc | None:
    """None without a claim. Raises ClaimError for one without a machine id: it still counts."""
    found: Doc | None = read_json(CLAIM)
    if os.path.lexists(CLAIM) and not (isinstance(found, dict) and isinstance(found.get("machine_id"), str)):
        raise ClaimError("cannot read the claim in %s" % CLAIM)
    return found


def write_json(path: str, doc: Any) -> None:
    """Whole or not at all, and synced before the recorded change is made."""
    fresh = path + ".new"
    with open(fresh, "w", encoding="utf-8") as file:
        json.dump(doc, file, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)


def call(*argv: str) -> subprocess.CompletedProcess[str]:
    env = dict(os.environ, LC_ALL="C", DEBIAN_FRONTEND="noninteractive", APT_CONFIG=APT_CONF)
    return subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def claim(doc: Doc) -> Doc:
    """Claim the machine unless it is claimed: of concurrent claims, only one can create the hard link."""
    os.makedirs(WORK, mode=0o700, exist_ok=True)
    if not os.path.exists(CLAIM) and [name for name in os.listdir(WORK) if not name.startswith(".claim-")]:
        raise ClaimError(WORK + " exists and is not lab's")
    fresh = f"{WORK}/.claim-{doc['machine_id']}"
    write_json(fresh, doc)
    with contextlib.suppress(FileExistsError):
        os.link(fresh, CLAIM)
    os.unlink(fresh)
    return {"claim": claimed()}


def record(doc: Doc) -> Doc:
    """Record what will be changed, with its state before; records of an earlier call stay."""
    kept = changes()
    for place, after in doc["files"].items():
        kept["files"].setdefault(place, {"before": snapshot(place)})["after"] = after
        kept["folders"] += [folder for folder in missing_parents(place) if folder not in kept["folders"]]
    for name, after in doc["sysctls"].items():
        now = sysctl(name)
        if now is not None:
            kept["sysctls"].setdefault(name, {"before": now})["after"] = after
    kept["mounts"] = kept["mounts"] if this_boot(CHANGES) else {}
    for place, kind in doc["mounts"].items():
        if (place, kind) not in mounted() and os.path.isdir(place):
            kept["mounts"].setdefault(place, kind)
    planned, held = plan_packages(doc["packages"], kept["packages"])
    kept["packages"].update(planned)
    write_json(CHANGES, kept)
    have = installed()
    lacking = [name for name in doc["packages"] if name in kept["packages"] and have.get(name, ("", ""))[1] != "ii"]
    return {"changes": kept, "install": lacking, "held": held}


def changes() -> Doc:
    found, empty = read_json(CHANGES), Doc(packages={}, files={}, folders=[], sysctls={}, mounts={})
    return (
        found if isinstance(found, dict) and all(type(found.get(key)) is type(empty[key]) for key in empty) else empty
    )


def snapshot(place: str) -> Doc | None:
    """The file at `place`; None when there is none."""
    if os.path.islink(place):
        return {"link": os.readlink(place)}
    if not os.path.isfile(place):
        return {"kind": "other"} if os.path.exists(place) else None
    with open(place, "rb") as file:
        data = file.read()
        status = os.fstat(file.fileno())
    content = {"sha256": hashlib.sha256(data).hexdigest(), "base64": base64.b64encode(data).decode()}
    return {**content, "mode": status.st_mode & 0o7777, "uid": status.st_uid, "gid": status.st_gid}


def same(one: Doc | None, other: Doc | None) -> bool:
    return all((one or {}).get(key) == (other or {}).get(key) for key in ("link", "sha256", "kind"))


def missing_parents(place: str) -> list[str]:
    return [str(folder) for folder in Path(place).parents if not folder.is_dir()]


def sysctl(name: str) -> str | None:
    with contextlib.suppress(OSError), open("/proc/sys/" + name.replace(".", "/"), encoding="utf-8") as file:
        return file.read().strip()
    return None


def mounted() -> set[tuple[str, ...]]:
    return {tuple(line.split(" ")[1:3]) for line in Path("/proc/self/mounts").read_text("utf-8").splitlines()}


def this_boot(path: str) -> bool:
    """Whether a file was written in this boot: mounts of an earlier boot no longer exist."""
    up_s = float(Path("/proc/uptime").read_text("utf-8").split()[0])
    return os.path.exists(path) and os.path.getmtime(path) > time.time() - up_s


def installed() -> dict[str, tuple[str, str]]:
    """Package -> version and state ("ii": installed, "rc": removed, its settings kept)."""
    listed = call("dpkg-query", "-W", "-f", "${Package} ${Version} ${db:Status-Abbrev}\n")
    rows = [line.split() for line in listed.stdout.splitlines()]
    return {row[0]: (row[1], row[2]) for row in rows if len(row) == 3}


def plan_packages(wanted: list[str], known: Doc) -> tuple[Doc, list[str]]:
    """The packages that apt would add, and those left out because they would change or remove installed ones."""
    have = installed()
    lacking = [name for name in wanted if name not in known and have.get(name, ("", ""))[1] != "ii"]
    if not lacking:
        return {}, []
    for folder in ("lists/partial", "cache/archives/partial"):
        os.makedirs(WORK + "/apt/" + folder, exist_ok=True)
    with open(APT_CONF, "w", encoding="utf-8") as file:
        file.write(APT_TEXT + 'APT::Sandbox::User "root";\n')
    updated = call("apt-get", "-q", "update")
    if updated.returncode != 0:
        raise ClaimError("apt-get update failed: " + updated.stderr.strip()[-300:])
    whole = simulate(lacking)
    plans = [whole] if whole is not None else [simulate([name]) for name in lacking]
    planned = {name: version for plan in plans for name, version in (plan or {}).items()}
    had = {name for name, (_, state) in have.items() if state == "rc"}
    return {name: {"version": version, "rc": name in had} for name, version in planned.items()}, [
        name for name in lacking if name not in planned
    ]


def simulate(names: list[str]) -> dict[str, str] | None:
    """Package -> version that installing `names` would add; None where it would also change or remove something."""
    simulated = call("apt-get", "-s", "-q", "--no-install-recommends", "--no-remove", "install", *names)
    found = [INST.match(line) for line in simulated.stdout.splitlines()]
    rows = [match.groups() for match in found if match]
    if simulated.returncode != 0 or any(old for _, old, _ in rows) or "\nRemv " in "\n" + simulated.stdout:
        return None
    return {name: version for name, _, version in rows}


def stop(_: Doc) -> Doc:
    """End the processes of a run and check that they exited. Raises ClaimError naming what is left."""
    argv = [sys.executable, "-I", "-", WORK + "/runs"]
    ended = subprocess.run(argv, input=ENDING, capture_output=True, text=True, check=False)
    left = json.loads(ended.stdout)["left"] if ended.returncode == 0 else [ended.stderr.strip()[-300:]]
    if left:
        raise ClaimError("cannot end a run on the machine: " + "; ".join(left))
    return {}


def restore(doc: Doc) -> Doc:
    """Undo every change that is still as we made it, and remove the work folder. Reports what was changed since."""
    try:
        holder = claimed()
    except ClaimError as error:  # a call by hand, without an id, overrides it
        if "machine_id" in doc:
            raise ClaimError("%s; if it is yours: sudo python3 %s/guest_claim.py restore" % (error, WORK)) from None
        holder = doc
    mine = holder is not None and doc.get("machine_id") in (None, holder.get("machine_id"))
    if mine or holder is None:
        stop(doc)  # also without a claim: the folder may have been removed by hand during a run
    if not mine:
        return {"undone": [], "left": []}
    kept = changes()
    found: dict[str, Outcome] = {"file " + place: undo_file(place, record) for place, record in kept["files"].items()}
    found.update({"sysctl " + name: undo_sysctl(name, record) for name, record in kept["sysctls"].items()})
    if os.path.lexists(CHANGES) and read_json(CHANGES) != kept:
        found[CHANGES] = "unreadable, so other changes are unknown"
    rows = read_json(GUEST_MOUNTS) if this_boot(GUEST_MOUNTS) else []
    guests = [tuple(row[::-1]) for row in rows if isinstance(row, list)] if isinstance(rows, list) else []
    for mount in [*guests, *(kept["mounts"].items() if this_boot(CHANGES) else [])]:
        if mount in mounted():
            found["mount " + mount[0]] = call("umount", mount[0]).returncode == 0 or "still in use"
    found.update(undo_packages(kept["packages"]))
    for folder in sorted(kept["folders"], key=len, reverse=True):
        if os.path.isdir(folder) and not os.listdir(folder):
            os.rmdir(folder)
    os.rename(WORK, GONE)  # first: a partly removed folder would look like a foreign one
    shutil.rmtree(GONE)
    left = [f"{what}: {outcome}" for what, outcome in found.items() if isinstance(outcome, str)]
    return {"undone": [what for what, outcome in found.items() if outcome is True], "left": left}


def undo_file(place: str, change: Doc) -> Outcome:
    before, now = change["before"], snapshot(place)
    if same(now, before) or (before and change["after"] is None):
        return None
    if change["after"] is not None and not same(now, change["after"]):  # None: a cache, with any content
        return "changed since by another program" if now else "removed since by another program"
    if now:
        os.unlink(place)
    if before and "link" in before:
        os.symlink(before["link"], place)
    elif before:
        with open(place + ".lab-new", "wb") as file:
            file.write(base64.b64decode(before["base64"]))
        os.chown(file.name, before["uid"], before["gid"])
        os.chmod(file.name, before["mode"])
        os.replace(file.name, place)
    return True


def undo_sysctl(name: str, change: Doc) -> Outcome:
    now = sysctl(name)
    if now == change["before"]:
        return None
    if now != change["after"]:
        return f"set to {now} since by another program"
    Path("/proc/sys/" + name.replace(".", "/")).write_text(change["before"], "utf-8")
    return True


def undo_packages(planned: Doc) -> dict[str, Outcome]:
    """Purge exactly the packages we added: dpkg removes no others and refuses one that another package needs."""
    have = installed()
    present = [name for name in planned if have.get(name, ("", "un"))[1][1] not in "nc"]  # also partly installed ones
    ours = [name for name in present if have[name][0] == planned[name]["version"]]
    for verb, rc in (("--purge", False), ("--remove", True)):
        group = [name for name in ours if planned[name]["rc"] == rc]
        done = call("dpkg", "--abort-after=10000", verb, *group) if group else None
        if done is not None and "lock" in done.stderr and "another process" in done.stderr:
            raise ClaimError("another program is installing packages on the machine")
    found: dict[str, Outcome] = {"package " + name: f"now at version {have[name][0]}" for name in present}
    now = installed()
    for name in ours:
        needed = now.get(name, ("", "un"))[1][1] not in "nc"
        found["package " + name] = "a package installed since needs it" if needed else True
    return found


VERBS = {"claim": claim, "record": record, "stop": stop, "restore": restore}


def main() -> int:
    verb, *rest = sys.argv[1:] or [""]
    if verb not in VERBS:
        raise SystemExit(__doc__)
    shutil.rmtree(GONE, ignore_errors=True)  # what a killed restore left
    try:
        answer = VERBS[verb](json.loads(rest[0]) if rest else {})
    except (ClaimError, OSError) as error:
        answer = {"error": str(error)}
    sys.stdout.write(json.dumps(answer) + "\n")
    return 1 if "error" in answer else 0


if __name__ == "__main__":
    sys.exit(main())
