"""Commands that documents name in passing, in code spans: they must exist, and know the options that are given."""

import re
import shlex
import subprocess

SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


class Program:
    """The command line, as its own help tells it."""

    def __init__(self, path):
        self.path, self.known = path, {}

    def help(self, words):
        """The help of the command of `words`; None when there is none."""
        if words not in self.known:
            done = subprocess.run([self.path, *words, "--help"], capture_output=True, text=True, timeout=20, check=False)
            self.known[words] = done.stdout if done.returncode == 0 else None
        return self.known[words]

    def subcommands(self, words):
        listed = re.search(r"^Commands:\n((?:  .*\n)+)", self.help(words) or "", re.MULTILINE)
        return set(re.findall(r"^  (\S+)", listed[1], re.MULTILINE)) if listed else set()

    def problem(self, arguments):
        """What is wrong with a command of these arguments; None if nothing."""
        words, options = [], []
        for argument in arguments:
            if argument.startswith("-") and argument != "-":
                options.append(argument.split("=")[0])
            elif not options and len(words) < 2 and argument in self.subcommands(tuple(words)):
                words.append(argument)
        plain = [argument for argument in arguments if not argument.startswith("-")]
        if plain and not words:
            return f"there is no command {plain[0]}"
        text = self.help(tuple(words)) or ""
        unknown = [name for name in options if not re.search(rf"(^|[\s,]){re.escape(name)}\b", text, re.MULTILINE)]
        return f"{' '.join(words)} does not know {', '.join(unknown)}" if unknown else None


def problems(text, program, targets):
    """What is wrong with the commands in the code spans of `text`, and how many there were."""
    found, count = [], 0
    for span in SPAN.findall(text):
        try:
            words = shlex.split(span)
        except ValueError:
            continue
        while words and re.match(r"[A-Z_]+=", words[0]):
            words.pop(0)
        if not words:
            continue
        name, arguments = words[0].removeprefix("target/release/"), words[1:]
        wrong = None
        if name == "gpt-load" and not (arguments and "/" in arguments[0]):
            wrong = program.problem(arguments)
        elif name == "make" and arguments:
            missing = [word for word in arguments if re.fullmatch(r"[a-z-]+", word) and word not in targets]
            wrong = f"the Makefile has no {', '.join(missing)}" if missing else None
        else:
            continue
        count += 1
        if wrong:
            found.append(f"`{span}`: {wrong}")
    return found, count
