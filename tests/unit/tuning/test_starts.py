"""Single steps of one parameter."""

from jobs.tuning.starts import single_steps


def test_steps_go_up_to_two_values_away_and_to_every_other_word() -> None:
    values = {"size": (1, 2, 3, 4, 5), "kind": ("a", "b", "c")}
    assert list(single_steps(values, {"size": 2, "kind": "b"})) == [
        ("size", 4),
        ("size", 3),
        ("size", 1),
        ("kind", "a"),
        ("kind", "c"),
    ]
