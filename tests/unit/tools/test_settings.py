"""The tables of settings that are written from the sections."""

import pytest

from tools import settings


def test_the_example_of_env_is_current() -> None:
    text = settings.ENV_EXAMPLE.read_text("utf-8")
    assert settings.render_env_example(text) == text, "Run: python -m tools.settings"


def test_the_document_is_current() -> None:
    text = settings.DOCUMENT.read_text("utf-8")
    assert settings.render_document(text) == text, "Run: python -m tools.settings"


def test_what_is_written_by_hand_is_kept() -> None:
    text = f"# Mine.\n{settings.ENV_MARK}#OLD=1\n"
    written = settings.render_env_example(text)
    assert written.startswith(f"# Mine.\n{settings.ENV_MARK}")
    assert "#CACHE_TTL=3600\n" in written
    assert "OLD" not in written


def test_without_its_marks_nothing_is_written() -> None:
    with pytest.raises(ValueError, match="lacks the line"):
        settings.render_env_example("# Mine.\n")
    with pytest.raises(ValueError, match="lacks the marks"):
        settings.render_document("# Mine\n")
