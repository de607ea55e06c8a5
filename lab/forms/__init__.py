"""Forms: the catalog, toolchains, builds, the artifact cache, and the proof that a form instruments."""

from lab.forms.building import build
from lab.forms.doctor import checks
from lab.forms.listing import catalog, choose, service
from lab.forms.spec import form_spec
from lab.forms.tree import artifact_tree, tree_path
from lab.forms.workshop import Workshop

__all__ = ["Workshop", "artifact_tree", "build", "catalog", "checks", "choose", "form_spec", "service", "tree_path"]
