"""How content is mixed with collaborative neighbours."""

from shared.domain.content import mixed


def test_content_counts_less_the_more_evidence_a_product_has() -> None:
    assert mixed(0, 0.8, 0) == 0.8
    assert mixed(0, 0.8, 5) == 0.4
    assert mixed(0.5, 0.8, 5) == 0.5
    assert mixed(0, 0.19, 0) == 0
