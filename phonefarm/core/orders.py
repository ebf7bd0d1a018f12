"""Whether a text that strangers wrote seems to give orders to a judge. Pure.

A sign for whoever reads results, and nothing more: no verdict and no action depends on it, since no list of patterns
finds everything and an honest video may quote one. What keeps orders harmless is that a verdict can only choose watch
or skip, and that a screen's text stays between marks (``judge.messages``).
"""

from __future__ import annotations

import re

#: What ``flagged`` says of a verdict on such a text.
ORDERS = "orders_on_screen"

#: Longer texts are looked at up to here, and at their end.
_LOOK = 20_000

_PATTERNS = (
    r"(ignore|disregard|forget|override)\b.{0,40}\b(rules?|instructions?|prompts?|guidelines)\b",
    r"ignore[rz]\b.{0,40}\b(consignes|instructions)\b|忽略.{0,20}指[示令]|(neue aufgabe|vergiss alle)\b",
    r"\b(answer|reply|respond|say only)\s+(only\s+|with\s+|always\s+)?(true|false|pass|yes|no|\{)(\W|$)|回答 ?true",
    r"\balways answer\b|\b(in|enter) (debug|developer|admin) mode\b|\bnew rules\b",
    r"(^|\n)\s*(system|assistant|human)\s*:|\bassistant:",
    r"<\|?/?\s*(im_start|im_end|system|assistant|user|screen_text)\s*\|?>|\[/?INST\]|\|\w{3,}\]\]",
    r"[\"']?\brelevant[\"']?\s*[:=]\s*[\"']?(true|false)|[\"']role[\"']\s*:\s*[\"']system",
    r"\{(keyword|interests|title|author|tags|screen_text|system_prompt)\}",
    r"\bsystem prompt\b|\bapi key\b|\bcall the tool\b|\brun_shell\b|\b(tap|press|click) the \w+ button\b",
    r"[\u202d\u202e\x1b]|(\w\u200b){3}|(?<![\U0001f3f4\U000e0000-\U000e007f])[\U000e0000-\U000e007f]",
)
_ORDERS = re.compile("|".join(f"(?:{pattern})" for pattern in _PATTERNS), re.IGNORECASE)


def gives_orders(*texts: str) -> bool:
    """Whether any of them looks like an order to whoever reads it."""
    return any(_ORDERS.search(part) for text in texts for part in (text[:_LOOK], text[_LOOK:][-_LOOK:]))
