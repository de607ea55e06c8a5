"""`lab deploy`: build once, put into the machine, prove each form."""

from __future__ import annotations

import typer

from lab.cli import flags
from lab.cli.options import Options, verb
from lab.cli.session import result_line, session


def register(app: typer.Typer) -> None:
    """Add `deploy`."""

    @verb(app, "deploy")
    def deploy(
        options: Options,
        form: flags.Forms = None,
        name: flags.Name = None,
        provider: flags.Provider = None,
        service: flags.Service = None,
        topology: flags.Topology = None,
        build: flags.Build = None,
        yes: flags.Yes = False,
    ) -> int:
        """Build forms (warm: nothing), put them there, and prove by canary requests that each instruments."""
        wanted = {
            "demo.forms": flags.names(form),
            "demo.topology": topology,
            "demo.build": build,
            "machine.name": name,
            "machine.provider": provider,
        }
        with session(options, "deploy", wanted) as lab:
            from lab.flows import wish
            from lab.flows.deploy import deploy as flow
            from lab.flows.doctor import ready_for_demo

            asked = wish.read(lab.config.demo, service_dir=service, forms_given=form is not None)
            ready_for_demo(lab, asked, install_missing=yes)
            proofs = flow(lab, asked)
        bad = [name for name, proof in proofs.items() if not proof["ok"]]
        code = 6 if bad else 0
        lines = [f"{name}: {'proven' if p['ok'] else 'NOT PROVEN'}: {p['reason']}" for name, p in proofs.items()]
        result_line(options, {"command": "deploy", "exit": code, "proofs": proofs}, "\n".join(lines))
        return code
