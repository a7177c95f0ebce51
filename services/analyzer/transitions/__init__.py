"""Changes from one loop to another, planned from their descriptions and rendered ahead of time."""

from services.analyzer.transitions.plan import Plan, plan_transition
from services.analyzer.transitions.render import render_transition

__all__ = ["Plan", "plan_transition", "render_transition"]
