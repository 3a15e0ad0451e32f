"""The table of all routes in docs/API.md, made from docs/openapi.json.

    routes.py            writes it
    routes.py --check    fails when it is not what it would write
"""

import json
import re
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs/API.md"
PLACE = re.compile(r"(<!-- routes: .*? -->\n).*?(<!-- end of routes -->)", re.DOTALL)


def table():
    """The rows, grouped as the document groups them."""
    document = json.loads((REPOSITORY / "docs/openapi.json").read_text())
    groups = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if "summary" in operation:
                row = f"| `{method.upper()} {path}` | {operation['summary'].replace('|', '·')} |"
                groups.setdefault(operation["tags"][0], []).append(row)
    head = "| route | does |\n| --- | --- |\n"
    return "".join(f"\n### {name}\n\n{head}" + "\n".join(rows) + "\n" for name, rows in groups.items())


def main():
    text = PAGE.read_text()
    made = PLACE.sub(lambda match: match[1] + table() + "\n" + match[2], text)
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(made)
    elif made != text:
        print("docs: docs/API.md does not list the routes of docs/openapi.json; `make docs` does", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
