"""Ray's environment, set before Ray is imported: it reads these variables once, at import."""

import importlib.util
import os
from pathlib import Path

from harness.errors import UserError

NO_TOKEN = (
    "no Ray token found; copy the cluster's (`ray get-auth-token` on its head node) to ~/.ray/auth_token "
    "or set RAY_AUTH_TOKEN"
)


def token_found() -> bool:
    """Whether a token stands where Ray looks for it: RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH, ~/.ray/auth_token."""
    path = os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token"
    return bool(os.environ.get("RAY_AUTH_TOKEN")) or Path(path).is_file()


def prepare(*, joins_cluster: bool) -> None:
    """Choose token authentication as `ray start` does, and send no usage reports unless asked to.

    `ray start` turns token authentication on where a token exists; a driver does not by itself (Ray 2.60).
    Raises UserError where Ray is not installed or authentication is on and no token is found.
    """
    if importlib.util.find_spec("ray") is None:
        raise UserError("Ray is not installed: pip install 'lrlc-bench[ray]', or run with --serial")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if joins_cluster and token_found():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    if os.environ.get("RAY_AUTH_MODE") == "token" and not token_found():
        raise UserError(NO_TOKEN)
