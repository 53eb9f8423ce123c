"""What is found, what is not, and that the work grows with the text alone."""

import re
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.own_patterns import OwnPattern
from proxy.privacy import findings, kinds
from proxy.privacy.findings import Detector, TooMuchFound
from tests.unit.privacy.backtracking import Steps
from tests.unit.work import count_steps

ALL = Detector(tuple(kinds.KINDS))
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"
PEM = "-----BEGIN PRIVATE KEY-----\n" + ("MIIEvQIBADANBgkqhkiG9w0BAQEF" * 2 + "\n") * 3
PGP = "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2\n\n" + "lQOYBF" * 9 + "\n=abcd\n"


def found(text: str, detector: Detector = ALL) -> list[tuple[str, str]]:
    return [(finding.kind, finding.value) for finding in detector.find(text)]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("email", "joe.bloggs+news@mail.example.co.uk"),
        ("email", "o'brien@example.com"),
        ("email", "jörg@bücher.example"),
        ("email", "joe%40example.com"),
        ("card", "4111111111111111"),
        ("card", "4111 1111 1111 1111"),
        ("card", "4111-1111-1111-1111"),
        ("card", "4111\u00a01111\u202f1111\u20111111"),
        ("iban", "DE89\u00a03704\u00a00044\u00a00532\u00a00130\u00a000"),
        ("card", "3782 822463 10005"),
        ("card", "4222222222222"),
        ("card", "6304000000000000000"),
        ("card", "5555555555554444"),
        ("card", "2223003122003222"),
        ("iban", "GB82 WEST 1234 5698 7654 32"),
        ("iban", "DE89370400440532013000"),
        ("iban", "NO9386011117947"),
        ("iban", "mt84malt011000012345mtlcast001s"),
        ("key", "sk-proj-abcdefghijk1234567890_-AbC"),
        ("key", "sk-ant-api03-abcdefghijk1234567890"),
        ("key", "aep_0123456789abcdef0123"),
        ("key", "AKIAIOSFODNN7EXAMPLE"),
        ("key", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"),
        ("key", "github_pat_11ABCDEFG0123456789_abc"),
        ("key", "AIzaSyA1234567890abcdefghijklmnopqrstuv"),
        ("key", "xoxb-123456789012-abcdefGHIJKL"),
        ("key", "sk_live_abcdefghijklmnop"),
        ("jwt", JWT),
        ("jwt", JWT.rpartition(".")[0]),
        ("private_key", PEM + "-----END PRIVATE KEY-----"),
        ("private_key", PEM.rstrip()),
        (
            "private_key",
            PEM.replace("PRIVATE", "RSA PRIVATE") + "AA==\n-----END RSA PRIVATE KEY-----",
        ),
        ("private_key", PGP + "-----END PGP PRIVATE KEY BLOCK-----"),
    ],
)
@pytest.mark.parametrize("around", ["{}", "see {}.", "({})", '"{}"', "a:{}\n", "é {} é", "<{}>,"])
def test_found(kind: str, value: str, around: str) -> None:
    assert found(around.format(value)) == [(kind, value)]


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",
        "1764433799000 1764433799001 1764433799002 1764433799003",
        "41111111111111111111111",
        "0.4111111111111111",
        "GB82WEST12345698765433",
        "GB82WEST12345698765432X",
        "react@18.2.0 and @scope/name @cf/meta/llama",
        "joe@localhost",
        "sk-learn-compatible-estimators",
        "a@b",
        "task-force-manufacturing-unit-1234567",
        "eyJhbGciOiJIUzI1NiJ9",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
        "data:image/png;base64," + "AKIAIOSFODNN7EXAMPLE" * 20,
        "DE89370400440532013000" * 20,
    ],
)
def test_not_found(text: str) -> None:
    assert found(text) == []


def test_each_of_several_is_found_and_the_longer_of_what_overlaps() -> None:
    text = f"4111 1111 1111 1111, joe@x.example and ann@x.example; {JWT}"
    assert [kind for kind, _ in found(text)] == ["card", "email", "email", "jwt"]
    assert found("4111111111111111 5555555555554444 12 34") == [
        ("card", "4111111111111111"),
        ("card", "5555555555554444"),
    ]
    assert found("12 4111 1111 1111 1111") == [("card", "4111 1111 1111 1111")]
    assert found("at sk-proj-1234567890abcdef@x.example") == [
        ("email", "sk-proj-1234567890abcdef@x.example")
    ]


def test_the_prose_after_a_key_that_is_cut_off_stays() -> None:
    assert found(PEM + "\nWhy does this not work?") == [("private_key", PEM.rstrip())]


def test_a_secret_of_aws_by_its_name() -> None:
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    for text in (f"aws_secret_access_key = {secret}", f'{{"SecretAccessKey": "{secret}"}}'):
        assert found(text) == [("key", secret)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"joe\u0040x.example", "joe@x.example"),
        (r"\u006aoe@x.example", "joe@x.example"),
        (r"{\"to\":\"joe\\u0040x.example\"}", "joe@x.example"),
        (r"line\njoe@x.example", "joe@x.example"),
        (r"line\\njoe@x.example", "joe@x.example"),
        (r"https:\/\/x.example\/?to=joe@x.example", "joe@x.example"),
        (r"4111\u00201111 1111\u002d1111", "4111 1111 1111-1111"),
    ],
)
def test_what_json_escapes_is_found_where_it_stands(text: str, value: str) -> None:
    (finding,) = ALL.find(text)
    assert finding.value == value
    rest = text[: finding.start] + "·" + text[finding.end :]
    assert found(rest) == []
    assert "x.example" not in rest.removeprefix(r"https:\/\/x.example") and "4111" not in rest


def test_only_the_kinds_that_are_wanted() -> None:
    some = Detector(("email",), (OwnPattern("EMP", r"EMP-\d{3}"),))
    text = "4111111111111111 joe@x.example EMP-123"
    assert found(text, some) == [("email", "joe@x.example"), ("emp", "EMP-123")]


PATTERNS = [
    kinds.BEFORE_AT,
    kinds.AT,
    kinds.CODED_AT,
    kinds.DIGITS,
    kinds.IBAN,
    kinds.GAP,
    kinds.KEY,
    kinds.AWS_SECRET,
    kinds.JWT,
    kinds.PRIVATE_KEY,
]
HOSTILE: list[Callable[[int], str]] = [
    *(
        (lambda size, piece=piece: (piece * (size // len(piece) + 1))[:size])
        for piece in (
            "a",
            "1",
            "1 ",
            "4-",
            "a@",
            "a.",
            "@a.",
            "\\",
            "sk-",
            "sk_live_",
            "eyJ",
            "eyJaaaaaaaaaa.",
            "eyJaaaaaaaaaa.b.",
            "GB82",
            "GB82 ",
            "DE12 A1 ",
            "-----BEGIN PRIVATE KEY-----",
            "-----BEGIN A A PRIVATE KEY-----\nProc-Type: 4",
            "-----BEGIN ",
            " \n",
            "aws_secret_access_key = ",
            "A: ",
        )
    ),
    lambda size: "-----BEGIN PRIVATE KEY-----" + "A" * 11 + " " * 9 + "A" * size,
    lambda size: "-----BEGIN PRIVATE KEY-----" + "\nAAAAAAAAAAAAA" * (size // 14),
    lambda size: "-----BEGIN PRIVATE KEY-----" + "\nAb: x" * (size // 6),
    lambda size: "4111 1111 1111 1112 " * (size // 20),
    lambda size: "joe@" + "a" * size,
    lambda size: "a@b.cc a@bb.cc " * (size // 15),
]


@pytest.mark.parametrize("pattern", PATTERNS, ids=range(len(PATTERNS)))
def test_the_work_of_an_expression_grows_with_the_text_alone(pattern: re.Pattern[str]) -> None:
    for make in HOSTILE:
        small, large = Steps(pattern.pattern), Steps(pattern.pattern)
        small.find_all(make(300))
        large.find_all(make(600))
        assert large.steps <= 2.2 * small.steps + 2_000, make(60)
        assert large.steps <= 400 * 600, make(60)


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_the_work_around_the_expressions_does_too(number: int) -> None:
    small, large = HOSTILE[number](3_000), HOSTILE[number](6_000)
    steps = count_steps(lambda: ALL.find(small)), count_steps(lambda: ALL.find(large))
    assert steps[1] <= 2.2 * steps[0] + 2_000


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_megabyte_of_it_comes_to_an_end(number: int) -> None:
    with suppress(TooMuchFound):
        ALL.find(HOSTILE[number](1_000_000))


@pytest.mark.parametrize("gap", [" ", " 7 ", " 123456789012345678901234567890 "])
def test_no_card_is_missed_in_a_long_run_of_digits(gap: str) -> None:
    """It is looked at in parts."""
    cards = ["4111 1111 1111 1111", "378282246310005", "5555-5555-5555-4444"] * 300
    values = [value for kind, value in found(gap.join(cards)) if kind == "card"]
    assert [value for value in values if value in cards] == cards


@given(st.text('aeou0412 \\nrt"/bf'))
def test_the_quick_way_to_read_escapes_reads_the_same(text: str) -> None:
    quick = findings._read_quickly(text)
    assert quick is None or quick == findings.unescape(text)


@given(st.lists(st.sampled_from([*'\\n"a4', "\\u0040", "\\\\n", "joe@x.example", " "])))
def test_what_is_found_stands_there(pieces: list[str]) -> None:
    text = "".join(pieces)
    for finding in ALL.find(text):
        assert findings.unescape(text[finding.start : finding.end]) == finding.value


@given(st.text('joe@x.1234 -\\u0n/"eyJ', max_size=80))
def test_what_is_found_stands_in_order_within_the_text(text: str) -> None:
    at = 0
    for finding in ALL.find(text):
        assert at <= finding.start < finding.end <= len(text)
        at = finding.end


WORDS = [
    *("joe@x.example", "b%40x.example", "%40", "@", "a", "4111", "4111111111111111", "7", "-", "."),
    *("4222222222222", "\u00a0", "\u0664", "é", "_", "sk-abcdefghij1234567890", "DE12", "WEST1234"),
    *("DE89370400440532013000", "GB82", "AKIAIOSFODNN7EXAMPLE", "eyJhbGciOiJI.eyJzdWIiOiIx.abc"),
    "aws_secret_access_key=",
]
PIECES = [*WORDS, " ", "4111 1111 1111 1111", PEM, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"]


@given(st.lists(st.sampled_from(PIECES), max_size=60), st.integers(1, 60))
def test_in_pieces_the_same_is_found_as_at_once(pieces: list[str], size: int) -> None:
    text = "".join(pieces)
    at_once = ALL.find(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(findings, "PIECE", size)
        assert ALL.find(text) == at_once


def test_a_key_that_is_longer_than_what_is_looked_at_is_masked_to_its_end() -> None:
    key = "sk-1" + "a" * 3 * kinds.BEYOND
    (finding,) = ALL.find(f"{'x ' * (findings.PIECE // 2 - 50)}{key} b")
    assert finding.value == key


@pytest.mark.parametrize("piece", ["word ", "4111 1111 1111 1112 ", "a@ ", "\\n ", "a@\\u00e9. "])
def test_others_have_a_turn_between_the_pieces_of_a_text(piece: str) -> None:
    text = piece * (500_000 // len(piece))
    assert sum(1 for _ in ALL.look(text)) >= 7
