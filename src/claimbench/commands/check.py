"""The end of a run of the workflow."""

from __future__ import annotations

import sys

from claimbench import files
from claimbench.plan.plan import Plan
from claimbench.records import freshness
from claimbench.records.plans import Frozen


def finish(plan: Plan, frozen: Frozen) -> int:
    """Compare everything that a tier holds with its plan, and say that it is complete.

    Returns:
        0; 1 when something is not of this plan, so that another run has to make it again.
    """
    frozen.refuse_replaced()
    path = plan.tier_dir / freshness.COMPLETE
    path.unlink(missing_ok=True)
    wrong = freshness.stale(plan, frozen.content)
    for name in wrong[:10]:
        print(f"{name}: changed while the workflow ran; run it again", file=sys.stderr)
    if not wrong:
        files.write_json(path, freshness.completion(plan, frozen.content))
    return 1 if wrong else 0
