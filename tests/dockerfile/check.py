"""Runs the steps of the Dockerfile, and what it makes, in folders laid over this machine's own system.

    check.py PROGRAM [--build]

Stands in for a container engine: each stage is an overlay of `/` in which its RUN steps run with chroot, and COPY copies from
the repository, less what .dockerignore keeps out. So what the Dockerfile forgets to copy is missing. Without --build only the
last stage is made, with PROGRAM as its program. Runs as root in a mount namespace of its own (tests/dockerfile.sh).
"""

import fnmatch
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
UID = 10001


def instructions(text):
    """(word, rest) of every instruction, continuation lines joined, comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def stages(text):
    """The stages: name, and its instructions."""
    found = []
    for word, rest in instructions(text):
        if word == "FROM":
            named = re.search(r" AS (\S+)$", rest)
            found.append((named[1] if named else "", []))
        else:
            found[-1][1].append((word, rest))
    return found


class Ignored:
    """.dockerignore: the last pattern that fits decides."""

    def __init__(self, text):
        self.patterns = [line for line in text.splitlines() if line and not line.startswith("#")]

    def __call__(self, path):
        parts = Path(path).parts
        parents = ["/".join(parts[: count + 1]) for count in range(len(parts))]
        ignored = False
        for pattern in self.patterns:
            bare = pattern.lstrip("!").removeprefix("**/")
            if any(fnmatch.fnmatchcase(parent, bare) or
                   (pattern.startswith("**/") and fnmatch.fnmatchcase(Path(parent).name, bare)) for parent in parents):
                ignored = not pattern.startswith("!")
        return ignored


class Stage:
    """A stage: a file system laid over this machine's, and the state that instructions change."""

    def __init__(self, work, name, arguments):
        base = work / f"stage-{name or 'last'}"
        self.root = base / "root"
        for folder in ("upper", "work", "root"):
            (base / folder).mkdir(parents=True)
        mount("-t", "overlay", "overlay", self.root,
              "-o", f"lowerdir=/,upperdir={base / 'upper'},workdir={base / 'work'}")
        for folder in ("proc", "dev"):
            mount("--rbind", f"/{folder}", self.root / folder)
        self.folder, self.shell, self.environment = "/", ["/bin/sh", "-c"], {}
        self.arguments, self.metadata = arguments, {}

    def path(self, inside):
        return self.root / os.path.join(self.folder, inside).lstrip("/")

    def run(self, command, **options):
        environment = {**os.environ, **self.arguments, **self.environment}
        script = ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", self.folder, *command]
        return subprocess.Popen(["chroot", str(self.root), *script], env=environment, **options)

    def finish(self, command):
        assert self.run(command).wait() == 0, f"failed: {command}"


def mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True)


def flags(rest):
    """Leading --name=value words, and what follows them."""
    found = []
    while match := re.match(r"--(\S+)\s+", rest):
        found.append(match[1])
        rest = rest[match.end():]
    return found, rest


def copy(stage, rest, made, ignored, program):
    given, rest = flags(rest)
    *sources, target = shlex.split(rest)
    source = next((flag.removeprefix("from=") for flag in given if flag.startswith("from=")), None)
    mode = next((int(flag.removeprefix("chmod="), 8) for flag in given if flag.startswith("chmod=")), None)
    for name in sources:
        place = stage.path(target)
        if source is not None and source not in made:
            path = program
        else:
            path = made[source].path("/" + name.lstrip("/")) if source else REPOSITORY / name
        assert path.exists(), f"COPY {name}: there is no such file"
        if path.is_dir():
            def left_out(folder, entries, source=source):
                if source:
                    return []
                return [entry for entry in entries if ignored(Path(folder, entry).relative_to(REPOSITORY))
                        and not Path(folder, entry).is_dir()] + [entry for entry in entries if entry == "node_modules"]
            shutil.copytree(path, place, ignore=left_out, dirs_exist_ok=True, symlinks=True)
        else:
            assert source or not ignored(Path(name)), f"COPY {name}: .dockerignore keeps it out"
            if target.endswith("/"):
                place.mkdir(parents=True, exist_ok=True)
                place = place / path.name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place)
            if mode:
                place.chmod(mode)


def follow(stage, steps, made, ignored, program, caches):
    """Carries the instructions of a stage out."""
    for word, rest in steps:
        print(f"dockerfile: {word} {rest[:100]}", flush=True)
        if word == "COPY":
            copy(stage, rest, made, ignored, program)
        elif word == "RUN":
            given, command = flags(rest)
            for flag in given:
                target = re.search(r"target=([^,]+)", flag)[1]
                if target in caches:
                    stage.path(target).mkdir(parents=True, exist_ok=True)
                    mount("--bind", caches[target], stage.path(target))
            stage.finish([*stage.shell, command])
        elif word == "WORKDIR":
            stage.folder = rest
            stage.path(".").mkdir(parents=True, exist_ok=True)
        elif word == "SHELL":
            stage.shell = json.loads(rest)
        elif word == "ENV":
            stage.environment.update(dict([rest.split("=", 1)]))
        elif word == "ARG":
            name, _, default = rest.partition("=")
            if default:
                stage.arguments.setdefault(name, default)
        else:
            stage.metadata[word] = rest


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Container:
    """A run of the last stage, as an engine runs it."""

    def __init__(self, stage, *arguments, as_user=None, **variables):
        self.port = free_port()
        variables = {"HOST": "127.0.0.1", "PORT": str(self.port), "LOG_LEVEL": "warn", **variables}
        self.stage, self.variables = stage, variables
        command = [*json.loads(stage.metadata["ENTRYPOINT"]), *(arguments or json.loads(stage.metadata["CMD"]))]
        command = ["env", *(f"{name}={value}" for name, value in variables.items()), *command]
        if as_user is not None:
            command = ["setpriv", f"--reuid={as_user}", f"--regid={as_user}", "--clear-groups", *command]
        self.process = stage.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def healthy(self):
        """Waits until the health check of the Dockerfile says yes."""
        check = json.loads(self.stage.metadata["HEALTHCHECK"].split("CMD", 1)[1])
        settings = ["env", *(f"{name}={value}" for name, value in self.variables.items())]
        for _ in range(150):
            asked = self.stage.run([*settings, *check], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            said = asked.communicate()[0]
            if asked.returncode == 0:
                return said
            if self.process.poll() is not None:
                raise AssertionError(self.process.stdout.read())
            time.sleep(0.2)  # between two asks of a health check, as an engine does
        raise AssertionError(said)

    def status(self):
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        said = self.process.communicate(timeout=30)[0]
        return self.process.returncode, said


def entrypoint(stage):
    """What the entrypoint promises."""
    data = stage.path("/app/data")

    def case(name):
        print(f"dockerfile: entrypoint: {name}", flush=True)

    case("a data folder of root's becomes usable, and root does not serve")
    shutil.rmtree(data)
    (data / "logs").mkdir(parents=True, mode=0o700)
    (data / "logs" / "old.log").write_text("root's\n")
    data.chmod(0o700)
    for start in (1, 2):
        node = Container(stage)
        said = node.healthy()
        assert said.startswith("healthy"), said
        status = node.status()
        assert status["Name"] == "gpt-load" and status["Uid"].split() == [str(UID)] * 4, status["Uid"]
        assert status["CapEff"] == "0" * 16 and status["NoNewPrivs"] == "1"
        code, said = node.stop()
        assert code == 0, f"start {start}: {code} {said}"
    owners = {path.stat().st_uid for path in [data, *data.rglob("*")]}
    assert owners == {UID}, owners
    assert (data / "gpt-load.db").is_file()
    assert (data / "auth_key").stat().st_mode & 0o777 == 0o600

    case("started as another user it runs as is")
    own = stage.path("/srv/own")
    own.mkdir()
    os.chown(own, 4321, 4321)
    node = Container(stage, as_user=4321, DATA_DIR="/srv/own")
    node.healthy()
    assert node.status()["Uid"].split() == ["4321"] * 4
    assert node.stop()[0] == 0

    case("a file of keys that only root reads is refused with a sentence")
    keys = stage.path("/app/keys.txt")
    keys.write_text("sk-one\n")
    keys.chmod(0o600)
    node = Container(stage, OPENAI_BASE_URL="http://127.0.0.1:9")
    said = node.process.communicate(timeout=30)[0]
    assert node.process.returncode == 2 and "keys.txt cannot be read by the user gpt-load" in said, said
    assert keys.stat().st_uid == 0

    case("one that can be read is the whole set-up")
    keys.chmod(0o644)
    node = Container(stage, OPENAI_BASE_URL="http://127.0.0.1:9")
    node.healthy()
    stats = Container(stage, "--json", "stats", "--url", f"http://127.0.0.1:{node.port}")
    said = stats.process.communicate(timeout=30)[0]
    assert json.loads(said)["total_keys"] == 1, said
    assert node.stop()[0] == 0
    keys.unlink()

    case("commands, with and without the program's name")
    for arguments in (["--version"], ["gpt-load", "--version"]):
        shown = Container(stage, *arguments)
        said = shown.process.communicate(timeout=30)[0]
        assert shown.process.returncode == 0 and said.startswith("gpt-load "), said


def main():
    program, build = Path(sys.argv[1]), "--build" in sys.argv[2:]
    text = (REPOSITORY / "Dockerfile").read_text()
    ignored = Ignored((REPOSITORY / ".dockerignore").read_text())
    # Where cargo has built already, so that only the project's own code is built again.
    caches = {"/src/target": program.parents[1]}
    work = Path(tempfile.mkdtemp(prefix="gpt-load-dockerfile-"))
    mount("-t", "tmpfs", "tmpfs", work)
    try:
        made = {}
        for name, steps in stages(text):
            if name and not build:
                continue
            made[name] = Stage(work, name, {"CARGO_PROFILE": "dev"})
            follow(made[name], steps, made, ignored, program, caches)
        entrypoint(made[""])
    finally:
        subprocess.run(["umount", "--recursive", str(work)], check=False)
        work.rmdir()
    print("dockerfile: all is well")


if __name__ == "__main__":
    main()
