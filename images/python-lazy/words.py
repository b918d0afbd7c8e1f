"""Words in several languages."""

import json

WORDS = {"coffee": "café", "tea": "té"}


def list():
    """All words."""
    return json.dumps(WORDS)


def encoded(charset):
    """All words in a character set, as hex."""
    return " ".join(sorted(WORDS.values())).encode(charset).hex()


def plain():
    """All words without accents."""
    import unicodedata

    decomposed = unicodedata.normalize("NFD", " ".join(sorted(WORDS.values())))
    return "".join(c for c in decomposed if not unicodedata.combining(c))
