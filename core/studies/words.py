"""Words for raters: every sentence, button and answer that they see, from one table with a column a language.

``assets/words/raters.csv`` holds English, German and simplified Chinese. A study may bring a table of its own, in any language:
``write_word_table`` writes one to translate, ``read_word_table`` reads it and refuses a table that lacks a word. Names in braces
are filled in; a row whose key ends in '.one' is for the number one.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

from core.data_folder import ASSETS
from core.errors import LiminalError

Language = Literal["en", "de", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
LANGUAGE_NAMES: Mapping[Language, str] = {"en": "English", "de": "Deutsch", "zh": "中文（简体）"}
BY_BROWSER, OWN_TABLE = "browser", "own"
LANGUAGE_CHOICES = (BY_BROWSER, *LANGUAGES, OWN_TABLE)
"""How a study chooses its language: what the browser asks for, one of those that ship, or the study's own table."""

TABLE = ASSETS / "words" / "raters.csv"
CODE_KEY = "language.code"
MAX_WORD_LETTERS, MAX_TABLE_BYTES = 1500, 500_000
EXAMPLE_LETTERS = 60

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_CODE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Words:
    """The words of one language. texts: key -> text."""

    texts: Mapping[str, str]

    @property
    def code(self) -> str:
        """The language, as browsers and screen readers name it."""
        return self.texts[CODE_KEY]

    def say(self, key: str, /, **values: object) -> str:
        """The text of a key with its names in braces filled in; whole numbers get the language's thousands separator."""
        shown = {name: self.format_whole(value) if isinstance(value, int) else str(value) for name, value in values.items()}
        return _PLACEHOLDER.sub(lambda found: shown.get(found[1], found[0]), self.texts[key])

    def say_number(self, key: str, number: int, /, **values: object) -> str:
        """The text of a key that depends on a number ({count}): that of the key with '.one' for one."""
        return self.say(f"{key}.one" if number == 1 else key, count=number, **values)

    def say_answer(self, value: str) -> str:
        """What raters read for an answer: the language's word for one that is in the table, else the answer itself."""
        return self.texts.get(f"answer.{value}", value)

    def format_whole(self, number: int) -> str:
        """A whole number with the language's thousands separator."""
        return f"{number:,}".replace(",", self.texts["number.thousands"])

    def format_number(self, number: float) -> str:
        """A number in its shortest form with the language's decimal sign."""
        return f"{number:g}".replace(".", self.texts["number.decimal"])

    def format_percent(self, share: float) -> str:
        """A share in [0, 1] in per cent without decimals."""
        return self.say("percent", number=round(100 * share))


class RaterError(LiminalError):
    """What stands against taking part, as a rater reads it: in English as text, in their language by ``Words.say``."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(load_words("en").say(key, **values))
        self.key, self.values = key, values

    def say(self, words: Words) -> str:
        """The sentence in a language."""
        return words.say(self.key, **self.values)


@cache
def load_words(language: Language) -> Words:
    """The words of a language that ships."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return Words({row["key"]: row[language] for row in csv.DictReader(file)})


def choose_words(choice: str, own: Mapping[str, str], accepted: str) -> Words:
    """The words for a visitor.

    choice: of LANGUAGE_CHOICES. own: the study's own table, {} for none; of a row that it lacks (it may be older than this version)
    the English text is used. accepted: the languages that the browser asks for, in the form of the header Accept-Language.
    """
    own_words = Words({**load_words("en").texts, **own}) if own else None
    if choice == OWN_TABLE and own_words is not None:
        return own_words
    if choice in LANGUAGES:
        return load_words(next(language for language in LANGUAGES if language == choice))
    by_code: dict[str, Words] = {language: load_words(language) for language in LANGUAGES}
    if own_words is not None:
        by_code[_main_language(own_words.code)] = own_words
    wanted = (_main_language(code) for code in _sort_accepted(accepted))
    return next((by_code[code] for code in wanted if code in by_code), by_code["en"])


def _main_language(code: str) -> str:
    return code.partition("-")[0].lower()


def _sort_accepted(accepted: str) -> list[str]:
    """The languages of a header Accept-Language, the most wanted first."""
    weights = []
    for part in accepted[:500].split(","):
        code, _, quality = part.strip().partition(";q=")
        try:
            weights.append((-float(quality or 1), code))
        except ValueError:
            continue
    return [code for _, code in sorted(weights, key=lambda pair: pair[0])]


def write_word_table(texts: Mapping[str, str]) -> bytes:
    """A table to translate, as CSV: the key, the English text, and the text to change."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(["key", "english", "text"])
    english = load_words("en").texts
    writer.writerows([key, english[key], texts.get(key, "")] for key in english)
    return buffer.getvalue().encode("utf-8-sig")


def read_word_table(content: bytes) -> dict[str, str]:
    """Key -> text of a table that ``write_word_table`` wrote and somebody translated; separated by commas, semicolons or tabs.

    Raises LiminalError with one sentence for a table that lacks a word, has one twice or too many, or whose names in braces are not
    those of the English text.
    """
    english = load_words("en").texts
    texts: dict[str, str] = {}
    for row in _read_rows(content):
        key, text = (row.get("key") or "").strip(), (row.get("text") or "").strip()
        if key not in english:
            raise LiminalError(f"The table of words has a row '{key[:40]}', which nothing on the page is; take it out.")
        if key in texts:
            raise LiminalError(f"The table of words has '{key}' twice; keep one of the two rows.")
        if len(text) > MAX_WORD_LETTERS or _UNPRINTABLE.search(text):
            raise LiminalError(f"The text of '{key}' has more than {MAX_WORD_LETTERS:,} letters, or signs that cannot be shown.")
        texts[key] = text
    missing = [key for key in english if not texts.get(key)]
    if missing:
        others = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        raise LiminalError(
            f"The table of words lacks '{missing[0]}' (“{_shorten(english[missing[0]])}”){others}; translate it and import it anew."
        )
    for key, text in texts.items():
        if find_placeholders(text) != find_placeholders(english[key]):
            names = ", ".join(f"{{{name}}}" for name in sorted(find_placeholders(english[key]))) or "no names"
            raise LiminalError(f"The text of '{key}' needs {names} in braces, as the English one has; write the same.")
    if not _CODE.fullmatch(texts[CODE_KEY]):
        raise LiminalError(f"'{texts[CODE_KEY][:40]}' in the row {CODE_KEY} names no language; write for example fr or pt-BR.")
    return texts


def find_placeholders(text: str) -> set[str]:
    """The names in braces."""
    return set(_PLACEHOLDER.findall(text))


def _shorten(text: str) -> str:
    return text if len(text) <= EXAMPLE_LETTERS else f"{text[:EXAMPLE_LETTERS]}…"


def _read_rows(content: bytes) -> list[dict[str, str]]:
    if len(content) > MAX_TABLE_BYTES:
        raise LiminalError(f"A table of words has at most {MAX_TABLE_BYTES // 1000} KB; this file is none.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise LiminalError("The table of words is not in UTF-8; save it as 'CSV UTF-8'.") from None
    head = text.partition("\n")[0]
    separator = max(",;\t", key=head.count)
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
        rows = [{str(name).strip().lower(): str(cell or "") for name, cell in row.items() if name} for row in reader]
    except csv.Error as error:
        raise LiminalError(f"The table of words cannot be read as CSV ({error}); export one and edit that.") from error
    if not {"key", "text"} <= {(name or "").strip().lower() for name in reader.fieldnames or ()}:
        raise LiminalError("A table of words has the columns key and text; export one and edit that.")
    return [row for row in rows if any(cell.strip() for cell in row.values())]
