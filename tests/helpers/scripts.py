"""Scripts of the documentation at the size of a test."""


def smaller(script: str, *changes: tuple[str, str]) -> str:
    """The script with each `(old, new)` replaced; `old` must be in it."""
    for old, new in changes:
        assert old in script, old
        script = script.replace(old, new)
    return script
