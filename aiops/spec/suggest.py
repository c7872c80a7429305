"""The nearest valid name: "did you mean `x`?"."""

from __future__ import annotations

from collections.abc import Collection

from aiops.spec.sources import PROVIDERS


def nearest(name: str, valid: Collection[str]) -> str | None:
    """The valid name closest to ``name``, or None when nothing is close."""
    import difflib  # nothing but a mistake needs it

    folded = {candidate.lower().replace("-", "_"): candidate for candidate in valid}
    close = difflib.get_close_matches(name.lower().replace("-", "_"), list(folded), n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def did_you_mean(name: str, valid: Collection[str], otherwise: str = "") -> str:
    """A hint with the nearest valid name; ``otherwise`` when nothing is close."""
    close = nearest(name, valid)
    return f"did you mean `{close}`?" if close else otherwise


def unknown_provider_hint(name: str, providers: Collection[str], models: Collection[str]) -> str:
    """What to say of a name that stands where a provider is named and is none."""
    return (
        "it is a model, not a provider"
        if name in models
        else did_you_mean(name, providers, f"it is not in {PROVIDERS}")
    )


def listed(names: Collection[str], limit: int = 12) -> str:
    """``a, b, c`` for a message, cut after ``limit`` names."""
    shown = sorted(names)
    more = f", … ({len(shown) - limit} more)" if len(shown) > limit else ""
    return ", ".join(shown[:limit]) + more
