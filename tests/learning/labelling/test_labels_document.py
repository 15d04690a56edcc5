"""The page on labels is true: every example in it is executed."""

from __future__ import annotations

import doctest
import re

from tests.conftest import ROOT

DOCUMENT = ROOT / "docs" / "labels.md"


def test_every_example_of_the_page_on_labels_gives_what_it_shows() -> None:
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    examples = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "labels.md", str(DOCUMENT), 0)
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL)
    result = runner.run(examples, out=said.append)
    assert result.attempted > 40
    assert result.failed == 0, "".join(said)
