"""The language reference is true: every example in it is executed."""

from __future__ import annotations

import doctest
import re

from penstock.aggregates import AGGREGATES
from penstock.expression import FUNCTIONS
from tests.conftest import ROOT

DOCUMENT = ROOT / "docs" / "language.md"


def test_every_example_of_the_language_reference_gives_what_it_shows() -> None:
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    examples = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "language.md", str(DOCUMENT), 0)
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    result = runner.run(examples, out=said.append)
    assert result.attempted > 30
    assert result.failed == 0, "".join(said)


def test_the_language_reference_names_every_aggregate_and_function() -> None:
    text = DOCUMENT.read_text()
    assert all(name in text for name in (*AGGREGATES, *FUNCTIONS))
