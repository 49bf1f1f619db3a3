"""python3 -m nomarr.manage_key --show | --generate: the API key of this installation, alone on the last line."""

from __future__ import annotations

import argparse
import sys

from nomarr import secretkey
from nomarr.errors import NomarrError
from nomarr.settings import load_settings


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python3 -m nomarr.manage_key", description="The API key for programs.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--show", action="store_true", help="print the key; there is always one")
    what.add_argument("--generate", action="store_true", help="make another; the old one opens nothing any more")
    asked = parser.parse_args(arguments)
    try:
        data_dir = load_settings().data_dir
        key = secretkey.generate(data_dir) if asked.generate else secretkey.show(data_dir)
    except NomarrError as error:
        print(f"nomarr: {error}", file=sys.stderr)  # noqa: T201
        return 2
    print(key)  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
