"""What making music costs on this machine: kept per maker, told as figures, an estimate and advice."""

from services.controller.statistics.ledger import Attempt, Ledger
from services.controller.statistics.summary import Row, advice, estimate, summarise

__all__ = ["Attempt", "Ledger", "Row", "advice", "estimate", "summarise"]
