"""``uv pip install`` as pip is set up: uv is several times faster, but reads neither pip's files nor PIP_*.

usage: python tools/uv_install.py ARGUMENTS    Exit code 3: pip has a setting that uv has no word for; let pip do it.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys

#: pip's option -> uv's variable, and what separates several values
VARIABLES = {
    "cert": ("SSL_CERT_FILE", " "),
    "default-timeout": ("UV_HTTP_TIMEOUT", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "proxy": ("ALL_PROXY", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
}
SWITCHES = {"no-cache-dir": "--no-cache", "no-index": "--no-index"}
#: how pip talks, and what is the same without
SILENT = {
    "cache-dir",
    "config-file",
    "disable-pip-version-check",
    "no-color",
    "no-input",
    "no-warn-script-location",
    "progress-bar",
    "quiet",
    "retries",
    "root-user-action",
    "verbose",
}
OFF = {"", "0", "false", "no", "off"}


def settings() -> dict[str, str]:
    """What pip's files and variables set for ``pip install``; the stronger comes last."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"],
        check=True,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ).stdout
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listed.splitlines():
        key, sign, value = line.partition("=")
        section, _, option = key.rpartition(".")
        if sign and section in found:
            found[section][option.replace("_", "-")] = str(ast.literal_eval(value))
    return found["global"] | found["install"] | found[":env:"]


def main(arguments: list[str]) -> int:
    variables = {"UV_LINK_MODE": "copy", "UV_INDEX_STRATEGY": "unsafe-best-match"}
    for option, value in settings().items():
        if option in SILENT:
            continue
        if option in SWITCHES:
            arguments = [*arguments, *([] if value.strip().lower() in OFF else [SWITCHES[option]])]
        elif option == "constraint":
            arguments = [*arguments, *(part for name in value.split() for part in ("-c", name))]
        elif option in VARIABLES:
            name, separator = VARIABLES[option]
            variables[name] = separator.join(value.split())
        else:
            print(f"uv has no word for pip's setting {option}", file=sys.stderr)
            return 3
    return subprocess.call(
        [sys.executable, "-m", "uv", "pip", "install", "--python", sys.executable, *arguments],
        env={**variables, **os.environ},
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
