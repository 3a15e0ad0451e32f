"""Links and anchors of Markdown documents."""

import re
import urllib.parse
from pathlib import Path

FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
DEFINITION = re.compile(r"^\[[^\]]+\]:\s+(\S+)", re.MULTILINE)
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)


def prose(text):
    """`text` without fenced blocks, comments and inline code, which hold no links."""
    return re.sub(r"`[^`\n]*`", "", COMMENT.sub("", FENCE.sub("", text)))


def anchors(text):
    """The anchors that GitHub gives the headings of a document."""
    found, seen = set(), {}
    for heading in HEADING.findall(FENCE.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        found.add(f"{slug}-{count}" if count else slug)
    return found


def broken(document, repository):
    """What is wrong with the links of `document`, and how many lead elsewhere and were not followed."""
    text = document.read_text()
    problems, elsewhere = [], 0
    for target in LINK.findall(prose(text)) + DEFINITION.findall(prose(text)):
        if re.match(r"[a-z]+:", target):
            elsewhere += 1
            continue
        path, _, anchor = urllib.parse.unquote(target).partition("#")
        file = (document.parent / path).resolve() if path else document.resolve()
        if not file.exists():
            problems.append(f"{target}: there is no such file")
        elif not file.is_relative_to(repository):
            problems.append(f"{target}: leads out of the repository")
        elif anchor and file.suffix == ".md" and anchor not in anchors(file.read_text()):
            problems.append(f"{target}: {Path(path or document.name).name} has no such heading")
    return problems, elsewhere
