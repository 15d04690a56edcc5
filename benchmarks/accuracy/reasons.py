"""What is known of why a task falls short: looked into by hand, shown only where a run finds that it does."""

from __future__ import annotations

from collections.abc import Mapping

_CHRISTMAS = "The test window is the run-up to Christmas, of which training saw one, when the shop was another."
_LINES = (
    "The lines have no clock but their invoice's, and which of their columns vary is looked up among all of them; the"
    " values of the features and the predictions held."
)

KNOWN: Mapping[str, str] = {
    "retail-churn-90": _CHRISTMAS,
    "retail-churn-90+leaks": _CHRISTMAS,
    "retail-orders-again-30": _CHRISTMAS,
    "retail-units-30": _CHRISTMAS,
    "retail-product-sales-7": _CHRISTMAS,
    "retail-product-sales-7+leaks": _CHRISTMAS,
    "retail-product-forecast": f"{_CHRISTMAS} Sales rise week by week, and the last week says so by itself.",
    "journey-coupon-30": "Coupons come with campaigns, which start on dates that no earlier month tells; half a year of"
    " them was seen.",
    "football-next-tournament": "Federations set the calendar: what is played changes from window to window for all"
    " teams at once, and no past season tells the next.",
    "football-home-score+leaks": "By hand the home side's goals in the match are told from the other's; most likely no"
    " feature of Penstock's does that.",
    "football-goals-90": "A few hundred test rows, most of them zero, so that the median is hard to beat.",
    "chinook-spend-90": _LINES,
    "chinook-buys-60": _LINES,
}
