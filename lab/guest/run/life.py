"""One process life of one form: start sink, service and agents, wait for readiness, stop them all."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from lab.guest.linux import gc_log, loopback
from lab.guest.linux.child import Child
from lab.guest.linux.procfs import MIB
from lab.guest.linux.waiting import until
from lab.guest.run.context import LifeFailed, RunContext, fill
from lab.guest.run.ready import wait_ready
from lab.guest.run.sink import Sink, start_sink
from lab.guest.wire import COUNTED, Cell, FormSpec, Life, ProcessSpec

DISK_MIN_MIB = 64.0


@dataclass(frozen=True)
class Published:
    """A published cell, its folder below cells/, and the file of spans that arrive after it."""

    cell: Cell
    folder: str
    late: Path


@dataclass
class Running:
    """A form that has been started. Times in seconds; *_at_ns wall clock."""

    id: str  # BLOCK-FORM.START, the folder below lives/
    life: Life
    form: FormSpec
    work: Path
    ports: dict[str, int]
    sink: Sink
    services: list[Child] = field(default_factory=list)
    agents: list[Child] = field(default_factory=list)
    startup_s: float = 0.0
    agents_began: float = 0.0
    attach_s: float | None = None
    first_span_s: float | None = None
    agent_said: list[dict[str, object]] = field(default_factory=list)
    requests: int = 0  # sent under load so far, those of warm-ups too
    stopped_s: float | None = None  # by the monotonic clock: when a live load ended before all its spans came
    published: Published | None = None  # the last cell, until its late spans were counted

    @property
    def target(self) -> int:
        return self.ports["target"]

    def ended(self, role: str) -> str:
        """How a child of this role ended; "" while all live."""
        children = {"service": self.services, "agent": self.agents, "sink": [self.sink.child]}[role]
        child = next((child for child in children if child.ended()), None)
        return ": ".join(filter(None, (child.ended(), child.last_words()))) if child is not None else ""

    def collections(self) -> dict[str, gc_log.Collected]:
        """Garbage collections so far of each role with one process: those of several do not cost the same."""
        children = {"service": self.services, "agent": self.agents}
        return {role: some[0].gc_log.so_far() for role, some in children.items() if len(some) == 1}

    def broken(self) -> str:
        return self.ended("service") or self.ended("agent") or self.ended("sink")


def start_life(context: RunContext, life: Life, ident: str, work: Path) -> Running:
    """Start a form until its agents are attached and its service answers with the right build. Raises LifeFailed."""
    form = context.form(life.form)
    service = context.plan.service
    free = os.statvfs(str(context.out))
    if free.f_bavail * free.f_frsize < DISK_MIN_MIB * MIB:
        left = free.f_bavail * free.f_frsize
        raise LifeFailed("the disk is full: %d bytes free in %s, %d needed" % (left, context.out, DISK_MIN_MIB * MIB))
    _check_digests(context, form)
    sink = start_sink(context, work, work / "early-0.spans.jsonl.gz")
    numbers = loopback.free_ports(len(service.ports))
    ports = dict(zip(service.ports, numbers))
    running = Running(id=ident, life=life, form=form, work=work, ports=ports, sink=sink)
    ports["target"] = ports[service.target]
    began = time.monotonic()
    for process in service.processes:
        running.services.append(_start_process(context, running, process, last=process is service.processes[-1]))
    wait_ready(context, running.services, ports[service.ready_port])
    running.startup_s = time.monotonic() - began
    _check_build(context, running)
    if form.agent is not None:
        start_agents(context, running)
        attach(context, running)
    return running


def start_agents(context: RunContext, running: Running) -> None:
    """Start one agent for each process of the service. Raises LifeFailed."""
    running.agents_began = time.monotonic()
    running.agent_said = []
    running.agents = [_start_agent(context, running, child) for child in running.services]


def attach(context: RunContext, running: Running) -> None:
    """Wait until every agent reports that it is attached. Raises LifeFailed with the agent's error."""
    for agent in running.agents:
        _wait_attached(context, running, agent)
    running.attach_s = time.monotonic() - running.agents_began


def _check_digests(context: RunContext, form: FormSpec) -> None:
    tools = context.plan.tools
    if tools.verified:
        return
    wanted = [(form.binary, form.sha256), (tools.load, tools.load_sha256), (tools.sink, tools.sink_sha256)]
    if form.agent is not None:
        wanted.append((form.agent.binary, form.agent.sha256))
    for relative, digest in wanted:
        path = context.artifact(relative)
        try:
            found = context.sha256(path)
        except OSError as error:
            raise LifeFailed("cannot read artifact %s: %s" % (relative, error.strerror)) from error
        if found != digest:
            raise LifeFailed("artifact %s differs from the plan: sha256 %s, not %s" % (relative, found, digest))


def _values(running: Running, name: str) -> dict[str, str]:
    values = {"port:" + key: str(port) for key, port in running.ports.items()}
    return {**values, "work": str(running.work), "sink": running.sink.url, "service": name}


def _start_process(context: RunContext, running: Running, process: ProcessSpec, *, last: bool) -> Child:
    form, values = running.form, _values(running, process.name)
    extra = form.args if last else ()
    argv = [context.artifact(form.binary), *(fill(a, values) for a in (*process.argv, *extra))]
    env = {key: fill(value, values) for key, value in {**process.env, **form.env}.items()}
    env = context.env(running.work, _reporting(context, running, {"LAB_FORM": form.name, **env}))
    cpus = context.plan.layout.service
    try:
        _write_files(running, process)
        return context.children.spawn(process.name, "service", argv, env, running.work, cpus=cpus)
    except OSError as error:
        raise LifeFailed("cannot start the service process %s: %s" % (process.name, error)) from error


def _reporting(context: RunContext, running: Running, env: dict[str, str]) -> dict[str, str]:
    """Where cells are counted, one collection more or less is most of what they differ by."""
    return gc_log.reporting(env) if context.plan.clock == COUNTED and running.life.cells else env


def _write_files(running: Running, process: ProcessSpec) -> None:
    """Write the configuration files of a service into its working directory."""
    values = {"port:" + key: str(port) for key, port in running.ports.items()}
    for name, text in process.files.items():
        path = running.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(fill(text, {**values, "work": str(running.work)}), encoding="utf-8")


def _check_build(context: RunContext, running: Running) -> None:
    """Check that the processes run the planned binary, by digest and by the build id that the service reports."""
    service, form = context.plan.service, running.form
    for child in running.services:
        exe = "/proc/%d/exe" % child.pid
        if context.plan.tools.verified:
            if not os.path.samefile(exe, context.artifact(form.binary)):
                raise LifeFailed("%s runs another binary than planned: %s" % (child.name, os.readlink(exe)))
        elif (found := context.sha256(exe)) != form.sha256:
            raise LifeFailed("%s runs another binary than planned: sha256 %s" % (child.name, found))
    answer = loopback.get(running.target, service.ready_path) if service.ready_path else None
    headers = answer[1] if answer is not None else {}
    if service.build_header and form.build_id:
        build_id = headers.get(service.build_header.lower(), "")
        if build_id != form.build_id:
            raise LifeFailed("the service reports build %r, the plan has %r" % (build_id, form.build_id))
    if service.form_header and headers.get(service.form_header.lower(), form.name) != form.name:
        raise LifeFailed("the service reports form %r" % headers[service.form_header.lower()])


def _start_agent(context: RunContext, running: Running, target: Child) -> Child:
    spec = running.form.agent
    assert spec is not None
    ready = running.work / ("agent-%s.ready" % target.name)
    values = {**_values(running, target.name), "pid": str(target.pid), "ready": str(ready), "off": ",".join(spec.off)}
    argv = [context.artifact(spec.binary), *(fill(a, values) for a in spec.argv)]
    env = {key: fill(value, values) for key, value in spec.env.items()}
    env = context.env(running.work, _reporting(context, running, env))
    name = "agent-" + target.name
    try:
        # SIGTERM, not SIGKILL, when we die: the agent then removes its pinned maps
        return context.children.spawn(
            name, "agent", argv, env, running.work, cpus=context.plan.layout.service, death_signal=signal.SIGTERM
        )
    except OSError as error:
        raise LifeFailed("cannot start the agent: %s" % error) from error


def _wait_attached(context: RunContext, running: Running, agent: Child) -> None:
    spec = running.form.agent
    assert spec is not None
    ready = running.work / (agent.name + ".ready")
    until(context.cancel, lambda: ready.exists() or agent.ended() or running.ended("service"), spec.ready_timeout_s)
    if ready.exists():
        running.agent_said.append(json.loads(ready.read_text(encoding="utf-8")))
        return
    ended = running.ended("service") or agent.ended() or "%s not attached in %g s" % (agent.name, spec.ready_timeout_s)
    raise LifeFailed("%s: %s" % (ended, _why(agent)))


def _why(agent: Child) -> str:
    """The agent's error: the last JSON line of its stderr, else the last line."""
    lines = [line for line in agent.said().splitlines() if line.strip()]
    for line in reversed(lines):
        try:
            doc = json.loads(line)
        except ValueError:
            continue
        if isinstance(doc, dict) and "error" in doc:
            return "%s (%s)" % (doc["error"], doc["hint"]) if doc.get("hint") else str(doc["error"])
    return lines[-1] if lines else "no output"


def stop_life(context: RunContext) -> dict[str, int]:
    """Stop the agents, the service in reverse order, then the sink; returns exit codes by name."""
    children = list(context.children.processes)
    context.children.stop_all(context.plan.timeouts.stop_s)
    return {child.name: child.code for child in children if child.code is not None}
