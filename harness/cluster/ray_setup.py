"""Ray's environment, set before Ray is imported: it reads these variables once, at import."""

import importlib.util
import os
from pathlib import Path

from lrlc.harness.errors import UserError

HOW_TO_GET_A_TOKEN = (
    "copy the cluster's (`ray get-auth-token` on its head node) to ~/.ray/auth_token or set RAY_AUTH_TOKEN"
)
NO_TOKEN = f"no Ray token found; {HOW_TO_GET_A_TOKEN}"


def token_source() -> str | None:
    """Where Ray finds its token: RAY_AUTH_TOKEN, the file of RAY_AUTH_TOKEN_PATH, or ~/.ray/auth_token."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return "RAY_AUTH_TOKEN"
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    return str(path) if path.is_file() else None


def wrong_token() -> str:
    """What to say where the cluster knows another token than ours."""
    return f"the cluster has another token than the one in {token_source()}; {HOW_TO_GET_A_TOKEN}"


def prepare(*, joins_cluster: bool) -> None:
    """Choose token authentication as `ray start` does, and send no usage reports unless asked to.

    A Ray of our own has no dashboard, and so collects no metrics: it would keep series for each trial's name.

    `ray start` turns token authentication on where a token exists; a driver does not by itself (Ray 2.60).
    Raises UserError where Ray is not installed or authentication is on and no token is found.
    """
    if importlib.util.find_spec("ray") is None:
        raise UserError("Ray is not installed: pip install 'lrlc-bench[ray]', or run with --processes N")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not joins_cluster:
        os.environ.setdefault("RAY_enable_metrics_collection", "0")
    elif token_source():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    if os.environ.get("RAY_AUTH_MODE") == "token" and not token_source():
        raise UserError(NO_TOKEN)
