"""The forms in demo/forms, the service, and the Go helpers."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lab.model.errors import ConfigError, UsageError
from lab.model.form import BuildSpec, Form
from lab.model.loading.buildspec import BUILD_FILE, load_build
from lab.model.loading.load_form import FORM_FILE, load_form
from lab.model.loading.load_service import load_service
from lab.model.loading.yamlspec import nearest
from lab.model.problems import collect, problems_error
from lab.model.service import Service

SERVICE_DIR: Final = "demo/service"
FORMS_DIR: Final = "demo/forms"
HELPERS_DIR: Final = "demo"

# A helper without a build.yaml is a plain Go program.
PLAIN: Final = BuildSpec(steps=(("go", "build", "-v", "{ldflags}", "-o", "{out}", "{main}"),), exclude=("README.md",))


def service(root: Path, folder: str | Path = SERVICE_DIR) -> Service:
    """The service's data; `folder` is relative to the resources, or absolute. Raises ConfigError."""
    return load_service(root / folder)


def catalog(root: Path) -> dict[str, Form]:
    """Every form by name, in the folder's order. Raises ConfigError with the problems of all of them in one pass."""
    problems: list[str] = []
    forms: dict[str, Form] = {}
    for folder in sorted(path.parent for path in (root / FORMS_DIR).glob(f"*/{FORM_FILE}")):
        form = collect(lambda folder=folder: load_form(folder), problems)  # type: ignore[misc]  # bound by default
        if form is not None:
            forms[form.name] = form
    for form in forms.values():
        if form.of and form.of not in forms:
            problems.append(f"{form.root / FORM_FILE}: of: {form.of!r} is not a form{nearest(form.of, forms)}")
        elif form.of and forms[form.of].build is None:
            problems.append(f"{form.root / FORM_FILE}: of: {form.of!r} has no build of its own")
    if problems:
        raise problems_error(problems)
    return forms


def choose(forms: dict[str, Form], names: tuple[str, ...]) -> dict[str, Form]:
    """The forms of these names, in this order. Raises UsageError naming the unknown ones."""
    unknown = [f"{name!r}{nearest(name, forms)}" for name in names if name not in forms]
    if unknown:
        raise UsageError(f"unknown form {', '.join(unknown)}", fix=f"choose from: {', '.join(forms)}")
    return {name: forms[name] for name in names}


def helper_build(folder: Path) -> BuildSpec:
    """The build of the Go helper in `folder`. Raises ConfigError."""
    if not (folder / "go.mod").is_file():
        raise ConfigError(f"{folder} is not a Go module", fix=f"create {folder / 'go.mod'}, or use another helper")
    return load_build(folder) if (folder / BUILD_FILE).is_file() else PLAIN


def artifact_of(form: Form) -> str:
    """The name of the artifact with this form's service binary."""
    return form.of or form.name
