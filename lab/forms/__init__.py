"""Forms: the catalog, toolchains, builds, the artifact cache, and the check that a form instruments."""

from lab.forms.build_machine import BuildMachine
from lab.forms.building import Outcome, attempt, build
from lab.forms.declared import catalog, choose, service
from lab.forms.doctor import checks
from lab.forms.spec import form_spec, is_known
from lab.forms.tree import artifact_tree, tree_path

__all__ = [
    "BuildMachine",
    "Outcome",
    "artifact_tree",
    "attempt",
    "build",
    "catalog",
    "checks",
    "choose",
    "form_spec",
    "is_known",
    "service",
    "tree_path",
]
