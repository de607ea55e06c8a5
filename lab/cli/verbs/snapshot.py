"""`lab snapshot` and `lab restore`: save the state of a running machine and restore it in seconds."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.cli import flags
from lab.cli.options import Options, verb
from lab.cli.session import result_line, session
from lab.model.config import Config
from lab.model.figures import seconds

if TYPE_CHECKING:
    from lab.flows.request import DemoRequest
    from lab.flows.snapshot import RestoreReport

AS = "ready"


def register(app: typer.Typer) -> None:
    """Add `snapshot` and `restore`."""

    @verb(app, "snapshot", takes=[flags.LOCK, "demo.forms", "demo.scenario", "demo.topology"])
    def snapshot(
        options: Options,
        wanted: dict[str, Any],
        name: flags.Name = None,
        tag: Annotated[str, typer.Option("--as", metavar="TAG", help="Name of the snapshot.")] = AS,
        service: flags.Service = None,
        show: Annotated[bool, typer.Option("--list", help="List the snapshots.")] = False,
        remove: Annotated[bool, typer.Option("--remove", help="Delete the snapshot TAG.")] = False,
    ) -> int:
        """Save a ready machine with everything that runs in it.

        `lab restore` restores it. A snapshot replaces an earlier one of the same name.
        With --form, these forms are started, proven and kept running on standby: demo-ready.
        """
        wanted["machine.name"] = name

        def asked_for(config: Config) -> DemoRequest | None:
            from lab.flows import request

            return request.read(config.demo, service_dir=service) if wanted["demo.forms"] is not None else None

        with session(options, "snapshot", wanted, also=asked_for) as lab:
            from lab.flows.snapshot import keep
            from lab.machines import lifecycle, snapshots

            if name is not None and show:
                lifecycle.known(lab, name)
            machine = lab.config.machine.name
            if remove:
                snapshots.remove(lab, machine, tag)
            elif not show:
                keep(lab, machine, tag, asked_for(lab.config))
            kept = snapshots.names(lab, machine)
        text = (
            f"saved {machine} as snapshot {tag}; restore it with lab restore {machine}{_of(tag)}"
            if not (show or remove)
            else ", ".join(kept)
        )
        result_line(options, {"command": "snapshot", "exit": 0, "machine": machine, "snapshots": kept}, text or "none")
        return 0

    @verb(app, "restore", takes=[flags.LOCK])
    def restore(
        options: Options,
        wanted: dict[str, Any],
        name: flags.Name = None,
        tag: Annotated[str, typer.Option("--from", metavar="TAG", help="Name of the snapshot.")] = AS,
        attach: Annotated[bool, typer.Option("--attach", help="Attach new agents before the proofs.")] = False,
        no_fallback: Annotated[bool, typer.Option("--no-fallback", help="Fail instead of booting.")] = False,
    ) -> int:
        """Restore a machine from a snapshot, in seconds.

        When that fails, boots the machine instead and prints the reason.
        Proves each standby form again with one request. Exit code 6 when a proof fails.
        """
        with session(options, "restore", {"machine.name": name, **wanted}) as lab:
            from lab.flows.snapshot import restore

            machine = lab.config.machine.name
            report = restore(lab, machine, tag, fallback=not no_fallback, reattach=attach)
        went, code = report.went, 6 if report.failed else 0
        doc = {
            "command": "restore",
            "exit": code,
            "machine": machine,
            "restored": went.restored,
            "reason": went.reason,
            "seconds": round(went.seconds, 2),
            "clock_behind_s": round(went.behind_s, 1),
            "forms": {form: asdict(proof) for form, proof in report.proofs.items()},
            "proven_s": report.proven_s and round(report.proven_s, 2),
        }
        how = f"restored from {tag}, its clock is {went.behind_s:.0f} s behind" if went.restored else "booted instead"
        result_line(
            options, doc, "\n".join([f"{machine} is ready after {seconds(went.seconds)}: {how}", *_forms(report)])
        )
        return code


def _of(tag: str) -> str:
    return "" if tag == AS else f" --from {tag}"


def _forms(report: RestoreReport) -> list[str]:
    """One line for each standby form."""
    lines = []
    for name, proof in report.proofs.items():
        if not proof.ok:
            lines.append(f"{name}: NOT PROVEN: {proof.reason}")
            continue
        spans = f"{proof.spans} spans" if proof.spans else "no spans, as expected"
        agent = f", agent attached in {seconds(proof.attach_s)}" if proof.attach_s else ""
        lines.append(f"{name}: running and proven: {spans}{agent}")
    if report.proven_s is not None:
        lines.append(f"all forms proven after {seconds(report.proven_s)}")
    return lines
