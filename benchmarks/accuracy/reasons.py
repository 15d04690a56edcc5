"""What is known of why a task falls short: looked into by hand, shown only where a run finds that it does."""

from __future__ import annotations

from collections.abc import Mapping

_CHRISTMAS = "The test window is the run-up to Christmas, of which training saw one, when the shop was another."

KNOWN: Mapping[str, str] = {
    "retail-churn-90": _CHRISTMAS,
    "retail-orders-again-30": _CHRISTMAS,
    "retail-units-30": _CHRISTMAS,
    "retail-product-sales-7": _CHRISTMAS,
    "retail-product-forecast": f"{_CHRISTMAS} Sales rise week by week, and the last week says so by itself.",
    "journey-coupon-30": "Coupons come with campaigns, which start on dates that no earlier month tells; half a year of"
    " them was seen.",
    "football-next-tournament": "Federations set the calendar: what is played changes from window to window for all"
    " teams at once, and no past season tells the next.",
    "football-goals-90": "A few hundred test rows, most of them zero, so that the median is hard to beat.",
    "chinook-spend-90": "A synthetic shop of few customers.",
}
