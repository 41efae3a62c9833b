"""Small real-looking corpora in several scripts, the same on every machine."""

import random
from pathlib import Path

LETTERS = {
    "en": "etaoinshrdlu",
    "fr": "esaitnrulodéàçê",
    "ru": "оеаинтсрвлкмё",
    "zh": "的一是不了人我在有他这中大来上国个到说们",
    "ar": "ابتثجحخدذرزسشصضطظعغ",
}


def lexicon(language: str) -> list[str]:
    """300 invented words in the language's script, the frequent ones first."""
    chance = random.Random(language)
    longest = 2 if language == "zh" else 8
    letters = LETTERS[language]
    return ["".join(chance.choices(letters, k=chance.randint(1, longest))) for _ in range(300)]


def text(language: str, words: int, seed: str) -> str:
    """Some sentences; equal arguments give equal text."""
    chance = random.Random(f"{language} {seed}")
    known = lexicon(language)
    weights = [1 / rank for rank in range(1, len(known) + 1)]  # Zipf's law
    glue = "" if language == "zh" else " "
    lines = []
    while words > 0:
        length = min(words, chance.randint(4, 12))
        sentence = glue.join(chance.choices(known, weights, k=length))
        lines.append(sentence + chance.choice(".!?…🙂"))
        words -= length
    return "\n".join(lines) + "\n"


def write_pages(
    folder: Path, language: str, pages: int, *, words: int = 60, extra: dict[int, str] | None = None
) -> dict[str, str]:
    """A folder of pages named alike in every language; returns text by page name.

    Args:
        folder: is made.
        language: of LETTERS.
        pages: how many.
        words: of each page.
        extra: what to put at the end of some pages, by number.
    """
    written = {}
    for k in range(pages):
        name = f"part{k % 3}/page{k:03}"
        content = text(language, words, f"{k}") + (extra or {}).get(k, "")
        path = folder / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8", newline="")
        written[name] = content
    return written
