"""`lab deploy`: build the forms, copy them into the machine, prove each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from lab.cli import flags
from lab.cli.options import Options, verb
from lab.cli.session import result_line, session
from lab.model.config import Config

if TYPE_CHECKING:
    from lab.flows.deploy import DeployProof
    from lab.flows.request import DemoRequest


def register(app: typer.Typer) -> None:
    """Add `deploy`."""

    @verb(
        app,
        "deploy",
        takes=["demo.forms", "demo.scenario", "demo.topology", "demo.build", *flags.MACHINE],
    )
    def deploy(
        options: Options,
        wanted: dict[str, Any],
        name: flags.Name = None,
        service: flags.Service = None,
        yes: flags.Yes = False,
    ) -> int:
        """Build forms, deploy them, prove that each instruments.

        Forms in the cache are not built again. The proof is by canary requests.
        """
        wanted["machine.name"] = name

        def asked_for(config: Config) -> DemoRequest:
            from lab.flows import request

            return request.read(config.demo, service_dir=service, forms_given=wanted["demo.forms"] is not None)

        with session(options, "deploy", wanted, also=asked_for) as lab:
            from lab.flows.deploy import deploy as flow
            from lab.flows.doctor import ready_for_demo
            from lab.guest.wire import encode

            asked = asked_for(lab.config)
            ready_for_demo(lab, asked, install_missing=yes)
            proofs = flow(lab, asked)
        bad = [name for name, proof in proofs.items() if not proof.ok]
        code = 6 if bad else 0
        lines = [f"{name}: {_outcome(proof)}" for name, proof in proofs.items()]
        result_line(options, {"command": "deploy", "exit": code, "proofs": encode(proofs)}, "\n".join(lines))
        return code


def _outcome(proof: DeployProof) -> str:
    if not proof.built:
        return f"NOT BUILT: {proof.reason} (fix: {proof.fix})"
    if not proof.ok:
        return f"NOT PROVEN: {proof.reason}"
    return f"proven, differs from the reference: {proof.gaps}" if proof.gaps else "proven"
