"""Loads docker-compose.yml as docker compose does (schema, interpolation, consistency) and checks what it means.

    compose.py LOADER
"""

import json
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def load(loader):
    command = [loader, "-format", "json", str(REPOSITORY / "docker-compose.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def main():
    services = load(sys.argv[1])["services"]
    profiles = {name: service.get("profiles", []) for name, service in services.items()}
    assert profiles == {
        "gpt-load": [], "gpt-load-2": ["cluster"], "gpt-load-follower": ["cluster"], "postgres": ["postgres"],
        "mysql": ["mysql"], "redis": ["cluster"],
    }, profiles
    nodes = [name for name in services if name.startswith("gpt-load")]
    for name in nodes:
        node = services[name]
        variables = node["environment"]
        assert (variables["NODE_NAME"], variables["NODE_ADDRESS"]) == (name, f"{name}:3001")
        assert variables.get("IS_SLAVE", "false") == ("true" if name == "gpt-load-follower" else "false")
        assert node["read_only"] is True and node["cap_drop"] == ["ALL"]
        assert [volume["target"] for volume in node["volumes"]] == ["/app/data"]
        assert not {"AUTH_KEY", "DATABASE_DSN", "ENCRYPTION_KEY"} & variables.keys(), "secrets come from .env"
        assert variables.get("REDIS_DSN") == (None if name == "gpt-load" else "redis://redis:6379/0")
    ports = [port["published"] for name in nodes for port in services[name]["ports"]]
    assert len(set(ports)) == len(ports), "two nodes on one port"
    assert all(service.get("healthcheck") for name, service in services.items() if name not in nodes)
    print(f"dockerfile: docker-compose.yml has {len(services)} services as they should be")


if __name__ == "__main__":
    main()
