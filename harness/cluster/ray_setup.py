"""Ray's environment variables, set before Ray is imported, as it reads them only then."""

import contextlib
import importlib.util
import os
import secrets
import tempfile
from pathlib import Path

from lrlc.harness.errors import UserError
from lrlc.harness.text import say

HOW_TO_GET_A_TOKEN = (
    "copy the cluster's (`ray get-auth-token` on its head node) to ~/.ray/auth_token or set RAY_AUTH_TOKEN"
)
NO_TOKEN = f"no Ray token found; {HOW_TO_GET_A_TOKEN}"


KEEPALIVE = {"RAY_grpc_client_keepalive_time_ms": "10000", "RAY_grpc_client_keepalive_timeout_ms": "20000"}
"""Detect a worker behind a broken link after half a minute; Ray's defaults are 5 and 2 minutes (Ray 2.60)."""

SHORT_FOLDER = "/tmp"
"""Ray's folder if the path of the temporary folder is too long for its sockets."""

SOCKET = "/ray/session_2026-11-26_14-20-21_925156_4194304/sockets/plasma_store"
MOST_BYTES_OF_A_SOCKET = 107


def token_source() -> str | None:
    """Where Ray reads its token: RAY_AUTH_TOKEN, the file in RAY_AUTH_TOKEN_PATH, or ~/.ray/auth_token."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return "RAY_AUTH_TOKEN"
    path = Path(os.path.expanduser(os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token"))
    return str(path) if path.is_file() else None


def wrong_token() -> str:
    """The error message if the cluster has a different token than ours."""
    return f"the cluster's token differs from the one in {token_source()}; {HOW_TO_GET_A_TOKEN}"


def prepare(*, joins_cluster: bool) -> None:
    """Turn on token authentication as `ray start` does, and usage reports off unless they are requested.

    `ray start` turns token authentication on if a token exists; a driver does not do so by itself (Ray 2.60).
    Raises UserError if Ray is not installed, or if authentication is on and no token is found.
    """
    if importlib.util.find_spec("ray") is None:
        raise UserError("Ray is not installed: pip install 'lrlc-bench[ray]', or run with --processes N")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    for name, milliseconds in KEEPALIVE.items():
        os.environ.setdefault(name, milliseconds)
    _keep_to_oneself(token_source())
    if not joins_cluster:
        _prepare_own()
    elif token_source():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    if os.environ.get("RAY_AUTH_MODE") == "token" and not token_source():
        raise UserError(NO_TOKEN)


def _prepare_own() -> None:
    """Make the Ray that we start listen on loopback only, with a token that is in no file.

    It has no dashboard and thus collects no metrics: these would keep a series per trial name.
    """
    os.environ.setdefault("RAY_enable_metrics_collection", "0")
    os.environ.setdefault(
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0"
    )  # Ray's name for loopback (2.60), also on Linux
    if not token_source():
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)  # Ray would write a file that all users can read
    if "RAY_TMPDIR" not in os.environ and not _fits_a_socket(tempfile.gettempdir()):
        os.environ["RAY_TMPDIR"] = SHORT_FOLDER
    if not _fits_a_socket(folder := os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()):
        raise UserError(
            f"RAY_TMPDIR {folder}: too long for the paths of Ray's sockets; set it to a shorter folder"
        )


def _fits_a_socket(folder: str) -> bool:
    return len(os.fsencode(folder)) + len(SOCKET) <= MOST_BYTES_OF_A_SOCKET


def _keep_to_oneself(source: str | None) -> None:
    """Restrict the token file: Ray creates it readable by all users."""
    if source is None or source == "RAY_AUTH_TOKEN":
        return
    with contextlib.suppress(OSError):
        if os.stat(source).st_mode & 0o077:
            os.chmod(source, 0o600)
            say(f"others could read the Ray token in {source}; now only you can")
