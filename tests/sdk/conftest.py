"""Where the SDKs are pointed, from the environment; run.sh says which variables."""

import os
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Target:
    """A node, or the provider double itself."""

    url: str
    proxy_key: str
    direct: bool

    def group(self, name: str) -> str:
        """Base URL of a group's entrance; the double has no groups."""
        return self.url if self.direct else f"{self.url}/proxy/{name}"

    @property
    def wrong_key(self) -> str:
        """A key that is refused by whoever answers."""
        return "no-such-key"


@pytest.fixture(scope="session")
def target() -> Target:
    url = os.environ.get("GPT_LOAD_URL")
    key = os.environ.get("GPT_LOAD_PROXY_KEY")
    if not url or not key:
        pytest.exit("GPT_LOAD_URL and GPT_LOAD_PROXY_KEY are not set", returncode=2)
    return Target(url.rstrip("/"), key, os.environ.get("SDK_TARGET") == "direct")


TEXT = "Hello from the provider double — grüße 世界 👋."
"""What the double says, in every channel."""


@pytest.fixture(scope="session")
def text() -> str:
    return TEXT
