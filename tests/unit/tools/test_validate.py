"""validate-deployment.sh at a curl that tells what it was asked."""

import os
import subprocess
from pathlib import Path

from tools.layout import ROOT

TOKEN = 'a"b\\c$d%s'
CURL = """#!/bin/sh
while [ $# -gt 1 ]; do
  case $1 in -K) key=$2 ;; -X) method=$2 ;; -o) body=$2 ;; -D) head=$2 ;; esac
  shift
done
printf '%s\\n' "$method $1 $(cat "$key")" >>"$LOG"
: >"$head"
case "$method $1" in
  "POST http://proxy/admin/keys") echo '{"id":"key_1","key":"aep_x"}' >"$body"; printf 201 ;;
  "GET http://proxy/admin/keys") kill -TERM 0 ;;
  *) printf 200 ;;
esac
"""


def test_a_run_that_is_broken_off_revokes_the_key_that_it_has_issued(tmp_path: Path) -> None:
    for name, text in (("curl", CURL), ("sleep", "#!/bin/sh\n")):
        (tmp_path / name).write_text(text, "utf-8")
        (tmp_path / name).chmod(0o755)
    log = tmp_path / "log"
    environment = {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "LOG": str(log),
        "ADMIN": TOKEN,
    }
    command = ["sh", str(ROOT / "validate-deployment.sh"), "http://proxy"]
    run = subprocess.run(
        command, env=environment, start_new_session=True, capture_output=True, check=False
    )
    assert run.returncode == 130, run.stderr
    asked = log.read_text("utf-8").splitlines()
    bearer = 'header = "Authorization: Bearer a\\"b\\\\c$d%s"'
    assert asked[-2] == 'GET http://proxy/admin/keys header = "Authorization: Bearer aep_x"'
    assert asked[-1] == f"DELETE http://proxy/admin/keys/key_1 {bearer}"
