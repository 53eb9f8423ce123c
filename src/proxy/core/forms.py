"""The forms that texts of a request must have: regular expressions, and what errors say of each."""

ONE_LINE = r"\A[^\x00-\x1f\x7f-\x9f\u2028\u2029]*\Z"
"""What may end up in a header or in a line of a log."""
VISIBLE = r"\A[!-~]+\Z"
GROUP_NAME = r"\A[!-+\--~](?:[ -+\--~]{0,62}[!-+\--~])?\Z"
"""Of a team or a tag."""
ALIAS_NAME = r"\A[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}\Z"
"""It holds no slash, so no `provider/model` is one."""
EFFORT = r"\A[a-z]{1,32}\Z"

WORDS = {
    ONE_LINE: "Must not hold control characters or line breaks",
    VISIBLE: "Must have visible ASCII characters only, and no spaces",
    GROUP_NAME: "Must have 1 to 64 characters: ASCII letters, digits, punctuation but no comma, and"
    " spaces within",
    ALIAS_NAME: "Must have 1 to 64 characters: ASCII letters and digits, after the first also"
    " _ . : -",
    EFFORT: "Must have 1 to 32 lower-case letters from a to z",
}
