"""Words for raters: every language is complete, a study's own table is refused where it lacks a word, and browsers choose."""

import re
from pathlib import Path

import pytest

from core.errors import LiminalError
from core.studies.recruitment import StudySettings
from core.studies.words import (
    LANGUAGES,
    RaterError,
    Words,
    choose_words,
    find_placeholders,
    load_words,
    read_word_table,
    write_word_table,
)

ENGLISH = load_words("en").texts
ROOT = Path(__file__).resolve().parents[2]
RATERS_FILES = [
    *(ROOT / "ui/studies" / f"{name}.py" for name in ("rater", "screening", "thanks")),
    *(ROOT / "ui/components" / name for name in ("trial.js", "answers.js", "pair_trial.js")),
    *(ROOT / "core/studies" / name for name in ("recruitment.py", "screening.py")),
]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_word_with_the_same_names_in_braces(language):
    texts = load_words(language).texts
    assert list(texts) == list(ENGLISH)
    for key, text in texts.items():
        assert text.strip() == text != "", key
        assert find_placeholders(text) == find_placeholders(ENGLISH[key]), key
    assert len({texts[f"answer.{name}"] for name in ("surprise", "fear", "disgust", "happiness", "sadness", "anger")}) == 6
    assert read_word_table(write_word_table(texts)) == texts


def test_pages_name_only_words_that_there_are():
    code = "\n".join(path.read_text(encoding="utf-8") for path in RATERS_FILES)
    said = set(re.findall(r"""(?:say|say_number|count|message|_show_notice|RaterError)\((?:words, )?["']([a-z_.0-9]+)["']""", code))
    said |= set(re.findall(r'data-(?:word|label)=["\']([a-z_.]+)', code))
    assert len(said) > 80
    for key in said:
        assert key in ENGLISH or f"{key}.title" in ENGLISH, key


def test_numbers_and_answers_follow_the_language():
    german, chinese = load_words("de"), load_words("zh")
    assert german.say("back.text", done=1000, total=2500).count("1.000 von 2.500") == 1
    assert german.format_number(0.2) == "0,2"
    assert (german.format_percent(0.5), chinese.format_percent(0.5)) == ("50 %", "50%")
    assert (german.say_number("count.face", 1), german.say_number("count.face", 2)) == ("1 Gesicht", "2 Gesichter")
    assert (german.say_answer("fear"), chinese.say_answer("fear"), german.say_answer("a label")) == ("Angst", "恐惧", "a label")
    assert RaterError("link.unnamed", parameter="{x}").say(german).startswith("In diesem Link fehlt „{x}“")


@pytest.mark.parametrize(
    ("choice", "accepted", "expected"),
    [
        ("browser", "de-AT,en;q=0.5", "de"),
        ("browser", "en;q=0.3, zh-CN;q=0.9", "zh"),
        ("browser", "fr,it;q=x", "en"),
        ("browser", "", "en"),
        ("zh", "de", "zh"),
        ("own", "de", "fr"),
    ],
)
def test_the_study_or_the_browser_chooses(choice, accepted, expected):
    own = {"language.code": "fr"} if choice == "own" else {}
    assert choose_words(choice, own, accepted).code == expected


def test_an_own_table_joins_the_browsers_choice_and_an_older_one_falls_back_on_english():
    own = {"language.code": "pt-BR", "button.next": "Continuar"}
    words = choose_words("browser", own, "pt;q=0.9,en;q=0.8")
    assert (words.say("button.next"), words.say("button.skip")) == ("Continuar", "Skip")
    assert choose_words("browser", own, "en").say("button.next") == "Go on"


def table(**changed):
    return write_word_table({**ENGLISH, **{key.replace("__", "."): text for key, text in changed.items()}})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (table(consent__agree=""), "lacks 'consent.agree' (“I agree and take part”); translate it"),
        (table(consent__agree="", button__next=" "), "lacks 'button.next' (“Go on”) and 1 more"),
        (table(block__answered="{done} of all"), "'block.answered' needs {done}, {total} in braces"),
        (table(language__code="French"), "'French' in the row language.code names no language"),
        (table() + b"consent.agree,,again\r\n", "has 'consent.agree' twice"),
        (table() + b"nothing,,at all\r\n", "has a row 'nothing'"),
        (table(consent__text="x" * 1501), "has more than 1,500 letters"),
        (b"word,translation\na,b\n", "has the columns key and text"),
        (b"\xff\xfe", "is not in UTF-8"),
        (b"x" * 500_001, "at most 500 KB"),
    ],
)
def test_a_table_that_does_not_do_gets_one_sentence(content, sentence):
    with pytest.raises(LiminalError) as error:
        read_word_table(content)
    assert sentence in str(error.value)


def test_spreadsheets_may_separate_by_semicolons():
    semicolons = "key;text\n" + "\n".join(f'{key};"{text}"' for key, text in ENGLISH.items())
    assert Words(read_word_table(semicolons.encode("utf-8-sig"))).texts == ENGLISH


@pytest.mark.parametrize("values", [{"language": "klingon"}, {"language": "own"}, {"words": {"a": 1}}])
def test_settings_refuse_a_language_that_there_is_not(values):
    with pytest.raises(LiminalError):
        StudySettings(**values)
