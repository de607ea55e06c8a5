"""Errors of this host that no program can foresee, as errors with a fix: a full disk, a folder that is not writable."""

from __future__ import annotations

import errno

from lab.model.errors import PreconditionError


def failure(error: BaseException) -> PreconditionError | None:
    """The error as a person can act on it; None for any other one, which is a bug."""
    if not isinstance(error, OSError) or (fix := _fix(error)) is None:
        return None
    return PreconditionError(f"{_place(error) or 'writing'}: {error.strerror}", fix=fix)


def _fix(error: OSError) -> str | None:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return "free disk space (lab cache prune) or set --home DIR on a larger disk, then run the command again"
        case errno.EROFS | errno.EACCES | errno.ENOTDIR | errno.ENAMETOOLONG:
            return "set --home DIR to a writable folder, or change the permissions"
        case errno.EISDIR | errno.ELOOP | errno.EEXIST | errno.ENOTEMPTY if (place := _place(error)) is not None:
            return f"remove {place}, then run the command again"
    return None


def _place(error: OSError) -> object:
    """The file that the error is about; of a move, its target."""
    return error.filename if error.filename2 is None else error.filename2
