"""Quantiles and tails of Student's t; scipy is loaded when one is asked for."""

from __future__ import annotations


def t_quantile(share: float, df: float) -> float:
    """Return the quantile of Student's t; `df` may be a fraction."""
    from scipy import special  # a quarter of a second to import; scipy.stats would take a whole one

    return float(special.stdtrit(df, share))


def t_tail(t: float, df: float) -> float:
    """Return P(T > t) for Student's t."""
    from scipy import special

    return float(special.stdtr(df, -t))
