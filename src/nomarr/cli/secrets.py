"""nomarr key show | generate, nomarr password reset: what lets people and programs in."""

from __future__ import annotations

import secrets
import sys

from nomarr import secretkey
from nomarr.cli.ground import open_database
from nomarr.errors import InvalidInput
from nomarr.settings import load_settings


def run_key(*, generate: bool) -> int:
    """Prints the key alone on the last line."""
    data_dir = load_settings().data_dir
    print(secretkey.generate(data_dir) if generate else secretkey.show(data_dir))  # noqa: T201
    return 0


def run_password_reset(*, from_stdin: bool) -> int:
    """Sets a generated password, or the first line of stdin, and ends all sessions."""
    from nomarr.web.auth import LONGEST_PASSWORD, change_password

    settings = load_settings()
    if settings.admin_password is not None and settings.admin_password.get_secret_value():
        raise InvalidInput("the password is decided by NOMARR_ADMIN_PASSWORD (or nomarr.yaml); change it there")
    password = sys.stdin.readline().rstrip("\r\n") if from_stdin else secrets.token_urlsafe(15)
    if not 1 <= len(password) <= LONGEST_PASSWORD:
        raise InvalidInput(f"a password needs 1 to {LONGEST_PASSWORD} characters")
    with open_database(settings) as db:
        change_password(db, password)
    print("The password was changed; everybody has to log in again.", file=sys.stderr)  # noqa: T201
    if not from_stdin:
        print(password)  # noqa: T201
    return 0
