# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets schemathesis ask a master whatever its openapi.json allows, and what it does not. The jobs
on it may suffer.

usage: fuzz_api.py URL [EXAMPLES]
"""

import subprocess
import sys
import tempfile
from pathlib import Path

# Held open: events for ever, a slave's poll for 25 s.
HELD = ("/api/v1/events", "/api/v1/slaves/{slave}/poll")
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


# Numbers of what is there; without them next to nothing is found at random. Afterwards the same
# without.
THERE = """
[parameters]
"path.job" = 1
"path.frame" = 1
"path.slave" = 1
"path.name" = "result_1.zip"
"""


def ask(url, examples, config, *options):
    with tempfile.TemporaryDirectory() as folder:  # it leaves things behind where it is
        (Path(folder) / "schemathesis.toml").write_text(config)
        command = [
            Path(sys.executable).with_name("schemathesis"),
            "run",
            f"{url}/api/v1/openapi.json",
            "--phases=examples,coverage,fuzzing",
            f"--checks={','.join(CHECKS)}",
            f"--max-examples={examples}",
            "--request-timeout=30",
            "--suppress-health-check=all",
            "--continue-on-failure",
            "--seed=1",
            *(f"--exclude-path={path}" for path in HELD),
            *options,
        ]
        return subprocess.run(command, cwd=folder, check=False).returncode


def main():
    url, examples = sys.argv[1].rstrip("/"), sys.argv[2] if len(sys.argv) > 2 else "100"
    there = ask(url, examples, THERE, "--exclude-operation-id=delete_job")
    return ask(url, examples, "") or there


if __name__ == "__main__":
    sys.exit(main())
