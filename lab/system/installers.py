"""Settings for pip and uv: of the user's settings, in variables or files, only those for indexes, proxies and
certificates are used; settings in the current folder are not.

Standard library only, in the syntax of Python 3.8: `labw` runs this file before anything is installed.

    python -I installers.py exec KEPT FOLDER PROGRAM ARGS...   become uv (PROGRAM is its path) or pip (PROGRAM is `pip`)
    python -I installers.py index KEPT                         print the address of the package index
    python -I installers.py set KEPT pip|uv                    print NAME=VALUE lines for cmd.exe; an empty value unsets
"""

from __future__ import annotations

import configparser
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

# The settings of pip, in variables or files, that decide where packages come from and how.
PIP_KEPT = (
    *("index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "proxy", "cert", "client-cert"),
    *("keyring-provider", "retries", "timeout", "default-timeout", "use-feature", "use-deprecated"),
)
PIP_OURS = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
# The same of uv's. Anything else (cache-dir, target, no-verify-hashes ...) decides what is installed, and where.
UV_KEPT = re.compile(
    r"UV_(DEFAULT_INDEX|INDEX(_URL|_STRATEGY|_[A-Z0-9_]+_(USERNAME|PASSWORD))?|EXTRA_INDEX_URL|FIND_LINKS|INSECURE_HOST|"
    r"KEYRING_PROVIDER|NATIVE_TLS|SYSTEM_CERTS|OFFLINE|(HTTP|REQUEST)_[A-Z_]+|CONCURRENT_[A-Z]+|CREDENTIALS_DIR|"
    r"(ASTRAL_MIRROR|PYTHON_DOWNLOADS_JSON)_URL|(PYTHON|PYPY)_INSTALL_MIRROR)"
)
UV_FILE_KEPT = (
    *("index", "index-url", "extra-index-url", "find-links", "no-index", "index-strategy", "keyring-provider"),
    *("native-tls", "system-certs", "offline", "http-proxy", "https-proxy", "no-proxy", "allow-insecure-host"),
    *("python-install-mirror", "python-downloads-json-url"),
)
UV_DEFAULT = ("UV_DEFAULT_INDEX", "UV_INDEX_URL")
UV_MORE = ("UV_INDEX", "UV_EXTRA_INDEX_URL")
TRUE = ("1", "true", "yes", "on")
# Variables that configure the user's own Python or installer.
STEERING = re.compile(r"(PYTHON|PIP_|UV_|VIRTUAL_ENV|CONDA_PREFIX|__PYVENV_LAUNCHER__)", re.IGNORECASE)


def environment(tool: str, kept: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of `pip` or `uv`. `kept`: lab's folder for uv's cache and settings."""
    env = {name: value for name, value in environ.items() if not STEERING.match(name)}
    pip, uv = pip_settings(environ), uv_settings(environ)
    if tool == "pip":
        return {**env, **PIP_OURS, **_for_pip(pip, uv, environ)}
    env.update((name, value) for name, value in environ.items() if UV_KEPT.fullmatch(name))
    for name, key in (("SSL_CERT_FILE", "cert"), ("SSL_CLIENT_CERT", "client-cert")):
        if pip.get(key) and not env.get(name):
            env[name] = pip[key]
    cache = environ.get("UV_CACHE_DIR", "")
    ours = kept / "packages"
    # files of the user's cache are copied, not linked, so that each keeps its mode
    env["UV_CACHE_DIR"], env["UV_LINK_MODE"] = (cache, "copy") if Path(cache).is_absolute() else (str(ours), "hardlink")
    env["UV_PYTHON_INSTALL_DIR"] = str(kept / "python")
    env["UV_CONFIG_FILE"] = str(_write(kept / "uv.toml", _toml(_for_uv(pip, uv, environ))))
    return env


def index(environ: Mapping[str, str]) -> str:
    """The address of the package index in the settings; "" for the default."""
    return _for_pip(pip_settings(environ), uv_settings(environ), environ).get("PIP_INDEX_URL", "")


def pip_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """The settings in PIP_KEPT as pip reads them: the host's file, the user's, the active environment's, variables."""
    found: dict[str, str] = {}
    for path in [] if environ.get("PIP_CONFIG_FILE") == os.devnull else _pip_files(environ):
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, configparser.Error):
            continue
        for section in ("global", "install"):
            lines = parser.items(section) if parser.has_section(section) else []
            found.update((key.replace("_", "-"), " ".join(value.split())) for key, value in lines)
    for key in PIP_KEPT:
        value = environ.get("PIP_" + key.upper().replace("-", "_"))
        if value is not None:
            found[key] = value
    return {key: value for key, value in found.items() if key in PIP_KEPT and value}


def _pip_files(environ: Mapping[str, str]) -> list[Path]:
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or os.devnull)
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    system = [Path(folder) / "pip/pip.conf" for folder in (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")]
    own = [home / ".pip/pip.conf", config / "pip/pip.conf", home / "Library/Application Support/pip/pip.conf"]
    active, chosen = environ.get("VIRTUAL_ENV"), environ.get("PIP_CONFIG_FILE")
    if os.name == "nt":
        system = [Path(environ.get("PROGRAMDATA") or r"C:\ProgramData") / "pip/pip.ini"]
        own = [home / "pip/pip.ini", Path(environ.get("APPDATA") or home) / "pip/pip.ini"]
    files = [*reversed(system), Path("/Library/Application Support/pip/pip.conf"), Path("/etc/pip.conf"), *own]
    files += [Path(active) / ("pip.ini" if os.name == "nt" else "pip.conf")] if active else []
    files += [Path(chosen)] if chosen else []
    return [path for path in files if path.is_absolute()]


def uv_settings(environ: Mapping[str, str]) -> dict[str, Any]:
    """The settings in UV_FILE_KEPT of the host's and the user's uv.toml. Raises ValueError for invalid TOML."""
    try:
        import tomllib
    except ImportError:  # before Python 3.11
        try:
            from pip._vendor import tomli as tomllib  # type: ignore[no-redef]
        except ImportError:
            return {}
    found: dict[str, Any] = {}
    for path in _uv_files(environ):
        try:
            doc = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError:
            continue
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        pip = doc.get("pip")
        for table in (doc, pip if isinstance(pip, dict) else {}):
            found.update((key, value) for key, value in table.items() if key in UV_FILE_KEPT)
    return found


def _uv_files(environ: Mapping[str, str]) -> list[Path]:
    if environ.get("UV_NO_CONFIG", "").lower() in TRUE:
        return []
    if Path(environ.get("UV_CONFIG_FILE", "")).is_absolute():
        return [Path(environ["UV_CONFIG_FILE"])]
    home = Path(environ.get("HOME") or os.devnull)
    if os.name == "nt":
        folders = [environ.get("PROGRAMDATA") or r"C:\ProgramData", environ.get("APPDATA") or os.devnull]
    else:
        folders = ["/etc", *reversed((environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":"))]
        folders.append(environ.get("XDG_CONFIG_HOME") or str(home / ".config"))
    return [Path(folder) / "uv/uv.toml" for folder in folders if Path(folder).is_absolute()]


def _for_pip(pip: Mapping[str, str], uv: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """Variables for pip; without an index in its settings, uv's is used."""
    variables = {"PIP_" + key.upper().replace("-", "_"): value for key, value in pip.items()}
    listed = [entry for entry in uv.get("index") or [] if isinstance(entry, dict) and isinstance(entry.get("url"), str)]
    default = _any(environ, UV_DEFAULT) or uv.get("index-url")
    default = default or next((entry["url"] for entry in listed if entry.get("default")), None)
    more = _any(environ, UV_MORE).split() or [
        *(uv.get("extra-index-url") or []),
        *(entry["url"] for entry in listed if not entry.get("default") and not entry.get("explicit")),
    ]
    if isinstance(default, str) and not pip.get("index-url"):
        variables["PIP_INDEX_URL"] = _address(default)
        variables.pop("PIP_NO_INDEX", None)
    if more and not pip.get("extra-index-url"):
        variables["PIP_EXTRA_INDEX_URL"] = " ".join(_address(str(url)) for url in more)
    return variables


def _any(environ: Mapping[str, str], names: Iterable[str]) -> str:
    """The first of these variables that is set and not empty."""
    return next((environ[name] for name in names if environ.get(name)), "")


def _address(named: str) -> str:
    """The URL of uv's NAME=URL."""
    return re.sub(r"^[\w.-]+=(?=[a-z+]+:)", "", named)


def _for_uv(pip: Mapping[str, str], uv: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """uv.toml for our calls; settings that uv's lack come from pip's."""
    settings = dict(uv)
    listed = [entry for entry in uv.get("index") or [] if isinstance(entry, dict)]
    default = "index-url" in uv or any(entry.get("default") for entry in listed) or _any(environ, UV_DEFAULT)
    more = "extra-index-url" in uv or any(not entry.get("default") for entry in listed) or _any(environ, UV_MORE)
    links = [entry for entry in pip.get("find-links", "").split() if "://" in entry or Path(entry).is_dir()]
    if not default and pip.get("index-url"):
        settings["index-url"] = pip["index-url"]
    if not default and not more and pip.get("no-index", "").lower() in TRUE:
        settings["no-index"] = True
    if not more and pip.get("extra-index-url"):
        settings["extra-index-url"] = pip["extra-index-url"].split()
        settings.setdefault("index-strategy", "unsafe-best-match")  # as pip does; hashes decide which files are allowed
    if links and not environ.get("UV_FIND_LINKS"):
        settings.setdefault("find-links", links)
    if pip.get("trusted-host") and not environ.get("UV_INSECURE_HOST"):
        settings.setdefault("allow-insecure-host", pip["trusted-host"].split())
    if pip.get("keyring-provider") == "subprocess" and not environ.get("UV_KEYRING_PROVIDER"):
        settings.setdefault("keyring-provider", "subprocess")
    proxy = pip.get("proxy")
    if proxy:
        proxy = proxy if "://" in proxy else "http://" + proxy
        settings.setdefault("http-proxy", proxy)
        settings.setdefault("https-proxy", proxy)
    return settings


def _toml(doc: Mapping[str, Any]) -> str:
    """Strings, booleans, numbers, lists and tables, inline: the types in uv.toml."""
    return "".join(f"{key} = {_value(value)}\n" for key, value in doc.items())


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_value(str(key))} = {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, str):
        signs = {'"': '\\"', "\\": "\\\\"}
        return '"' + "".join(signs.get(c) or (c if c.isprintable() else f"\\U{ord(c):08x}") for c in value) + '"'
    return str(value)


def _write(path: Path, text: str) -> Path:
    """Replace it atomically, readable only by its owner: an address may hold a password."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(str(part), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)
    return path


def main(argv: list[str]) -> int | None:
    verb, kept, *words = argv
    if verb == "index":
        print(index(os.environ))
    elif verb == "set":
        env = environment(words[0], Path(kept), os.environ)
        names = {name for name in os.environ if STEERING.match(name)} | env.keys()
        print("\n".join(f"{name}={env.get(name, '')}" for name in sorted(names)))
    else:
        folder, program, *rest = words
        tool = "pip" if program == "pip" else "uv"
        env = environment(tool, Path(kept), os.environ)
        os.chdir(folder)
        program = sys.executable if tool == "pip" else program
        os.execve(program, [program, *(["-I", "-m", "pip"] if tool == "pip" else []), *rest], env)  # noqa: S606
    return None


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ValueError as wrong:
        sys.exit(str(wrong))
