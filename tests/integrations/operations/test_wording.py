from __future__ import annotations

from integrations.engine.kinds import KINDS
from integrations.engine.verdict import VERDICTS
from integrations.models import GateMode, State
from integrations.operations import wording


def test_every_reason_of_the_verdict_table_has_words() -> None:
    reasons = {verdict.reason for verdict in VERDICTS.values()}
    assert reasons - wording.REASONS.keys() == set()


def test_every_reason_of_the_state_machine_has_words() -> None:
    others = {"attempts_used_up", "poison", "worker_lost", "newer_version", "by_person", "person_said_arrived"}
    assert others - wording.REASONS.keys() == set()


def test_every_gate_mode_has_words() -> None:
    assert {f"gate_{mode}" for mode in GateMode.Mode.values if mode != "normal"} - wording.REASONS.keys() == set()


def test_every_state_has_words() -> None:
    assert set(wording.STATES) == set(State.values)


def test_every_kind_has_words() -> None:
    assert set(wording.KINDS) == set(KINDS)


def test_every_question_of_the_verdict_table_is_asked_in_words() -> None:
    asked = {verdict.reason for verdict in VERDICTS.values() if verdict.state == "needs_person"}
    assert asked - wording.QUESTIONS.keys() == set()


def test_every_failure_of_the_verdict_table_has_a_remedy() -> None:
    failures = {verdict.reason for verdict in VERDICTS.values() if verdict.state == "dead"}
    assert failures - wording.REMEDIES.keys() == set()


def test_an_unknown_reason_is_shown_as_it_is() -> None:
    assert wording.reason("moon_phase") == "moon phase"
