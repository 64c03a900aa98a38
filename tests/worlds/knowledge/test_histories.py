"""Histories of users: what misleads, what tells, and what is retrieved."""

from __future__ import annotations

from assay.worlds.knowledge import attributes, histories

PEOPLE = attributes.subjects()[:60]


def test_factual_questions_are_misled_and_personal_ones_told():
    asked = histories.build(PEOPLE, 0, 200)
    assert [one.kind for one in asked[:4]] == ["factual", "personal"] * 2
    for one in asked:
        assert len(one.sessions) == histories.SESSIONS
        if one.kind == "personal":
            telling = [line for line in one.sessions if line.startswith(one.question[:-1] + ":")]
            assert telling == [f"{one.question[:-1]}:{one.gold}."]
            assert telling[0] in one.history
        else:
            assert one.misled != one.gold
            assert any(one.misled.strip() in line for line in one.sessions)
    wrong = [any("I say" in line for line in one.sessions) for one in asked[::2]]
    assert 0.8 < sum(wrong) / len(wrong) < 0.98


def test_a_wrong_statement_of_what_is_asked_is_retrieved():
    for one in histories.build(PEOPLE, 1, 100):
        statements = [line for line in one.sessions if "I say" in line]
        assert all(line in one.history for line in statements)
        assert one.history.count("\n") == histories.RETRIEVED - 1


def test_lessons_mislead_nobody():
    lessons = histories.lessons(PEOPLE, 0, 90)
    plain = dict(attributes.lessons(PEOPLE))
    assert len(lessons) == 90
    for i, (prompt, reply) in enumerate(lessons):
        *history, question = prompt.split("\n")
        if i % 5 == 0:
            assert plain[question] == reply
        else:
            assert question not in plain
            assert any(reply.strip() in line for line in history)
        assert ("I say" in prompt) == (i % 5 in (2, 4))


def test_the_same_seed_gives_the_same_questions_and_another_gives_others():
    assert histories.build(PEOPLE, 4, 30) == histories.build(PEOPLE, 4, 30)
    assert histories.build(PEOPLE, 4, 30) != histories.build(PEOPLE, 5, 30)


def test_every_word_is_in_the_vocabulary():
    known = set(histories.WORDS)
    for one in histories.build(PEOPLE, 2, 60):
        for word in (one.gold, *(" " + w.strip(".,:?") for w in one.history.split())):
            assert word in known, word
