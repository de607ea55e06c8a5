#!/usr/bin/python3
"""The machine's half of `tree`: makes files, links and absences true, and says which were not. Python 3.9 syntax."""

from __future__ import annotations

import base64
import os
import shutil

from ansible.module_utils.basic import AnsibleModule

OWN_SUFFIX = ".lab-new"


def read(path):
    """The content of a regular file, or None where there is none (a link counts as none)."""
    if os.path.islink(path) or not os.path.isfile(path):
        return None
    with open(path, "rb") as file:
        return file.read()


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def lay_file(path, entry, dry):
    """Replace by rename, so that a reader or a kill sees the old file or the new one. Returns whether it differed."""
    data, mode = base64.b64decode(entry["base64"]), int(entry["mode"], 8)
    if read(path) == data and os.stat(path).st_mode & 0o7777 == mode:
        return False
    if not dry:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        fresh = path + OWN_SUFFIX
        with open(fresh, "wb") as file:
            file.write(data)
        os.chmod(fresh, mode)
        if os.path.isdir(path) and not os.path.islink(path):
            remove(path)
        os.replace(fresh, path)
    return True


def lay_link(path, target, dry):
    if os.path.islink(path) and os.readlink(path) == target:
        return False
    if not dry:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        remove(path)
        os.symlink(target, path)
    return True


def lay_absence(path, dry):
    if not os.path.lexists(path):
        return False
    if not dry:
        remove(path)
    return True


def main():
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "dict", "required": True},
            "links": {"type": "dict", "required": True},
            "absent": {"type": "list", "elements": "path", "required": True},
        },
        supports_check_mode=True,
    )
    dry, wanted = module.check_mode, module.params
    relative = [place for place in [*wanted["files"], *wanted["links"], *wanted["absent"]] if place[:1] != "/"]
    if relative:
        module.fail_json(msg="these places are not absolute: " + ", ".join(relative))
    # removals first: what must be absent may be the folder or the file in the way of what must be there
    changed = [place for place in wanted["absent"] if lay_absence(place, dry)]
    changed += [place for place, entry in wanted["files"].items() if lay_file(place, entry, dry)]
    changed += [place for place, target in wanted["links"].items() if lay_link(place, target, dry)]
    module.exit_json(changed=bool(changed), places=sorted(changed))


if __name__ == "__main__":
    main()
