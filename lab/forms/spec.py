"""Resolves a form, its artifacts and the machine's facts to the spec that the guest half runs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lab.forms.tree import tree_path
from lab.guest.wire import COUNTED, AgentSpec, Expectation, ExtraSpan, FormExpectation, FormSpec, SpanNode
from lab.model.errors import ConfigError
from lab.model.facts import MachineFacts
from lab.model.form import Artifact, ExpectRule, ExtraRule, Form, FormAgent
from lab.model.scenario import Scenario
from lab.model.service import Service

# The assumed cost of a request without an earlier measurement, in nanoseconds: CPU and p50, for an emulated machine or
# not. Only the size of the two controls depends on it; their real cost is read back from each response.
NOMINAL_NS: Final[dict[bool, dict[str, float]]] = {
    False: {"cpu": 1.0e6, "wait": 2.0e6},
    True: {"cpu": 30.0e6, "wait": 60.0e6},
}
NOMINAL_COUNTED_NS: Final = {"cpu": 1.0e6, "wait": 60.0e6}
THRESHOLD: Final = {"cpu": "cpu_s_per_1k_requests", "wait": "latency_p50_ms"}
# Smaller differences are not detectable under emulation.
EMULATED_PCT: Final = 10.0
DEFAULT_PCT: Final = {"cpu": 2.0, "wait": 5.0}


def form_spec(
    form: Form,
    artifacts: Mapping[str, Artifact],
    facts: MachineFacts,
    *,
    topology: str,
    service: Service,
    scenario: Scenario | None = None,
    costs: Mapping[str, float] | None = None,
) -> FormSpec:
    """The spec of one form. `costs` (nanoseconds: "cpu", "wait") are those of a measured baseline.

    Raises ConfigError when the service lacks the delay that a control needs.
    """
    binary = artifacts[form.name]
    kind = form.delay[0] if form.delay else ""
    size_ns = 0 if form.delay is None else delay_ns(form.delay, facts, scenario, costs)
    return FormSpec(
        name=form.name,
        mechanism=form.mechanism,
        binary=tree_path(binary),
        sha256=binary.sha256,
        build_id=binary.build_id,
        env=dict(form.env),
        args=(*form.args, *_delay_args(form, service, size_ns)),
        agent=_agent(form.agent, artifacts, facts) if form.agent else None,
        proof=form.proof,
        expected=expectation(form, service, facts, topology),
        delay_kind=kind,
    )


def delay_ns(
    delay: tuple[str, float],
    facts: MachineFacts,
    scenario: Scenario | None,
    costs: Mapping[str, float] | None = None,
) -> int:
    """The control's size: a multiple of the scenario's threshold, in percent of a request's cost (or NOMINAL_NS)."""
    kind, multiple = delay
    emulated, counted = facts.emulated, facts.clock == COUNTED
    given = scenario.threshold_pct.get(THRESHOLD[kind], DEFAULT_PCT[kind]) if scenario else DEFAULT_PCT[kind]
    percent = max(given, EMULATED_PCT / multiple) if emulated and not counted else given
    nominal = NOMINAL_COUNTED_NS if counted else NOMINAL_NS[emulated]
    return round({**nominal, **(costs or {})}[kind] * multiple * percent / 100)


def _delay_args(form: Form, service: Service, size_ns: int) -> tuple[str, ...]:
    if form.delay is None:
        return ()
    words = service.delays.get(form.delay[0], ())
    if not words:
        raise ConfigError(
            f"form {form.name} needs service {service.name} to have a {form.delay[0]} delay",
            fix=f"add delays.{form.delay[0]} to {service.root / 'service.yaml'}, or leave {form.name} out",
        )
    return tuple(word.replace("{ns}", str(size_ns)) for word in words)


def _agent(agent: FormAgent, artifacts: Mapping[str, Artifact], facts: MachineFacts) -> AgentSpec:
    binary = artifacts[agent.artifact]
    off = tuple(probe for rule in agent.off_when if holds(rule.when, facts) for probe in rule.off)
    return AgentSpec(
        binary=tree_path(binary),
        sha256=binary.sha256,
        argv=agent.argv,
        env=dict(agent.env),
        off=off,
        ready_timeout_s=agent.ready_timeout_s,
    )


def holds(when: Mapping[str, tuple[str, ...]], facts: MachineFacts) -> bool:
    """Whether every condition is met; an unknown fact meets none."""
    return all(getattr(facts, key) in values for key, values in when.items())


def expectation(form: Form, service: Service, facts: MachineFacts, topology: str) -> FormExpectation:
    """The spans expected of this form: by the form's rules for any service, then by the service's own."""
    own, known = service.expected.get(form.name), is_known(form, service)
    written = (form.expected, own) if own is not None else (form.expected,)
    here = [rule for one in written for rule in one.rules if holds(rule.when, facts)]
    rules = [rule for rule in here if not rule.topology or topology in rule.topology]
    extra = [_extra(rule) for one in written for rule in one.extra if holds(rule.when, facts)]
    if service.ready_path:
        probe = "GET " + service.ready_path.partition("?")[0]
        extra.append(ExtraSpan("*", "http", "server", probe, start=True, cause="lab asks whether the service is ready"))
    requests = {
        request: tuple(_expected(form, request, node, rules, known=known) for node in nodes)
        for request, nodes in service.reference.items()
    }
    return FormExpectation(requests=requests, extra=tuple(extra), known=known)


def is_known(form: Form, service: Service) -> bool:
    """Whether the service says which spans this form gives on it; one that gives none needs no word."""
    return form.name in service.expected or form.default_expect == "none"


def _expected(form: Form, request: str, node: SpanNode, rules: list[ExpectRule], *, known: bool) -> Expectation:
    """The last rule that selects the node decides. Without any rules a span may have any parent and is only counted."""
    free = "always" if known or not node.parent else "may-be-wrong"
    none = Expectation(node=node.id, mode="none", cause="this form gives no spans")
    out = none if form.default_expect == "none" else Expectation(node=node.id, parent=free)
    for rule in rules:
        if selects(rule, request, node):
            out = Expectation(
                node=node.id,
                mode=rule.mode,
                first=rule.first,
                min_ratio=rule.min_ratio,
                max_ratio=rule.max_ratio,
                parent=free if rule.parent == "always" else rule.parent,
                cause=rule.cause,
            )
    return out


def selects(rule: ExpectRule, request: str, node: SpanNode) -> bool:
    """Whether the rule applies to this node of this request type."""
    return (
        rule.request in ("*", request)
        and rule.node in ("*", node.id)
        and rule.family in ("", node.family)
        and rule.kind in ("", node.kind)
    )


def _extra(rule: ExtraRule) -> ExtraSpan:
    return ExtraSpan(
        request=rule.request,
        family=rule.family or "*",
        kind=rule.kind or "*",
        match=rule.match,
        per_request=rule.per_request,
        start=rule.start,
        cause=rule.cause,
    )
