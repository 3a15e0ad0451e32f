"""Checks the documents of the repository: tests/docs.sh says what and how.

    check.py PROGRAMS-DIR DOUBLE-URL WORK [DOCUMENT…]

The shell blocks of a document run one after the other in one shell, in a folder of their own, against a node in front of the
provider double; `<!-- starts a node -->` before a block says that it is the block that starts this node. For the run, and
nothing else, the addresses in a block are replaced: localhost:3001 by the node's, those of providers by the double's.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import commands
import links

REPOSITORY = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"(?:<!-- *(needs|starts)[: ](.*?) *-->\n)?^```(sh|bash|console|shell)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROVIDERS = ("https://api.openai.com", "https://api.anthropic.com")
# What programs do otherwise in a test: curl fails on an answer that is no success, validation asks the double, and
# `make run` starts what is built already.
WRAPPERS = {
    "curl": 'exec {curl} --fail-with-body --silent --show-error --max-time 30 "$@"',
    "gpt-load": '[ "$1" = validate-keys ] && set -- "$@" --upstream {double}\nexec {programs}/gpt-load "$@"',
    "make": '[ "$1" = run ] || exit 2\nexec {programs}/gpt-load',
}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Run:
    """A document's folder, its programs and its node."""

    def __init__(self, programs, double, folder):
        self.folder, self.double, self.port, self.node = folder, double, free_port(), None
        (folder / "bin").mkdir(parents=True)
        for name, script in WRAPPERS.items():
            path = folder / "bin" / name
            path.write_text("#!/bin/sh\n" + script.format(curl=shutil.which("curl"), double=double, programs=programs) + "\n")
            path.chmod(0o755)
        (folder / "target").mkdir()
        (folder / "target/release").symlink_to(folder / "bin")
        (folder / "keys.txt").write_text("sk-docs-one\nsk-docs-two\n")
        self.environment = {
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "HOME": str(folder), "HOST": "127.0.0.1", "PORT": str(self.port),
            "LOG_LEVEL": "warn", "PROXY_KEYS": "pk-docs", "PROXY_KEY": "pk-docs", "NO_PROXY": "*",
        }

    def here(self, script):
        """`script` with the addresses of this run."""
        script = re.sub(r"\blocalhost:3001\b", f"127.0.0.1:{self.port}", script)
        for provider in PROVIDERS:
            script = script.replace(provider, self.double)
        return script

    def start(self, script):
        output = (self.folder / "node.log").open("w")
        self.node = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", self.here(script)], cwd=self.folder, env=self.environment, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,
        )
        for _ in range(300):
            asked = subprocess.run(
                ["gpt-load", "health", "--ready"], cwd=self.folder, env=self.environment, capture_output=True, check=False,
            )
            if asked.returncode == 0:
                return
            if self.node.poll() is not None:
                break
            time.sleep(0.1)  # between two asks
        raise AssertionError("the node did not start:\n" + (self.folder / "node.log").read_text())

    def shell(self, blocks):
        """Runs blocks in one shell; tells which one failed, and what it said."""
        script = "\n".join(f"echo {number} >block\n{block}" for number, block in enumerate(blocks))
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.here(script)], cwd=self.folder, env=self.environment, capture_output=True,
            text=True, stdin=subprocess.DEVNULL, timeout=100, check=False,
        )
        if done.returncode:
            failed = blocks[int((self.folder / "block").read_text())]
            raise AssertionError(f"exit {done.returncode} in the block\n{failed}\nsaid:\n{done.stdout[-800:]}{done.stderr[-800:]}")

    def stop(self):
        if self.node:
            self.node.terminate()
            self.node.wait(timeout=30)


def run_blocks(document, programs, double, work):
    """Runs the shell blocks of a document; how many ran, and what the others need."""
    found = [match.groups() for match in BLOCK.finditer(document.read_text())]
    needs = [text for word, text, *_ in found if word == "needs"]
    assert all(needs), "a `needs` without a reason"
    blocks = [(word, script) for word, _, _, script in found if word != "needs"]
    if not blocks:
        return 0, needs
    run = Run(programs, double, work / document.relative_to(REPOSITORY).as_posix().replace("/", "-"))
    try:
        starts = [script for word, script in blocks if word == "starts"]
        if not starts:
            run.start(f"KEYS_FILE=keys.txt OPENAI_BASE_URL={double} exec gpt-load")
        waiting = []
        for word, script in blocks:
            if word != "starts":
                waiting.append(script)
                continue
            *before, last = script.rstrip("\n").replace("\\\n", " ").split("\n")
            waiting.append("\n".join(before))
            run.shell(waiting)
            waiting = []
            run.start("exec env " + last)
        run.shell(waiting)
    finally:
        run.stop()
    return len(blocks), needs


def documents():
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=REPOSITORY, capture_output=True, text=True,
        check=True,
    )
    return [REPOSITORY / name for name in sorted(tracked.stdout.split())]


def main():
    programs, double, work = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    chosen = [Path(name).resolve() for name in sys.argv[4:]] or documents()
    program = commands.Program(f"{programs}/gpt-load")
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    failed = 0
    for document in chosen:
        name = document.relative_to(REPOSITORY)
        problems, elsewhere = links.broken(document, REPOSITORY)
        wrong, named = commands.problems(document.read_text(), program, targets)
        problems += wrong
        ran, needs = 0, []
        try:
            ran, needs = run_blocks(document, programs, double, work)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            problems.append(str(error))
        print(f"docs: {name}: {named} commands named, {ran} blocks run, {len(needs)} need more, {elsewhere} links not followed")
        for problem in problems:
            print(f"docs: {name}: {problem}", file=sys.stderr)
        failed += bool(problems)
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
