"""`lab forms`, `lab providers`: list both."""

from __future__ import annotations

import typer

from lab.cli.options import Options, verb
from lab.cli.session import answer


def register(app: typer.Typer) -> None:
    """Add both verbs."""

    @verb(app, "forms")
    def forms(options: Options) -> int:
        """List the forms: how each instruments and which binary it uses."""
        from lab.forms import catalog
        from lab.system import resources

        found = catalog(resources.root())
        rows = [
            {
                "name": form.name,
                "mechanism": form.mechanism,
                "title": form.title,
                "of": form.of,
                "claims": list(form.claims),
            }
            for form in found.values()
        ]
        width = max(len(form.name) for form in found.values())
        lines = [f"{form.name:<{width}}  {form.mechanism:<12}  {form.title}" for form in found.values()]
        answer(options, {"forms": rows}, "\n".join(lines))
        return 0

    @verb(app, "providers")
    def providers(options: Options) -> int:
        """List the providers, their features and how they were tested."""
        import dataclasses

        from lab.machines.providers import PROVIDERS

        features = {name: dataclasses.asdict(provider.FEATURES) for name, provider in PROVIDERS.items()}
        rows = [
            {"name": name, "features": features[name], "run_on": provider.TESTED_WITH}
            for name, provider in PROVIDERS.items()
        ]
        lines = [
            f"{name}: {_can(features[name])}; tested: {provider.TESTED_WITH}" for name, provider in PROVIDERS.items()
        ]
        answer(options, {"providers": rows}, "\n".join(lines))
        return 0


def _can(features: dict[str, bool]) -> str:
    return ", ".join(name for name, has in features.items() if has) or "no features"
