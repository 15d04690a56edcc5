"""An evaluation as one self-contained HTML page.

Text becomes markup in `markup`, numbers become places in `scales`, places become drawings in `plots`; `scores`,
`outcomes` and `leanings` draw what an evaluation holds, and `page` puts it together.
"""

from __future__ import annotations

from penstock.learning.reasons.report.page import check_page, html, write_page

__all__ = ["check_page", "html", "write_page"]
