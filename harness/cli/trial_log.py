"""`lrlc logs STUDY --trial ID`: what a trial printed."""

from lrlc.harness.errors import UserError
from lrlc.harness.text import counted


def trial_log(study: str, prefix: str, results: str) -> str:
    """All attempts of the trial whose id begins so; UserError where there is none, or where it printed nothing."""
    from lrlc.harness.named_store import existing_store

    store = existing_store(study, results)
    logged, known = store.logged(), set(store.trials(["trial_id"])["trial_id"])
    found = sorted(trial_id for trial_id in logged | known if trial_id.startswith(prefix))
    if len(found) > 1:
        raise UserError(
            f"{prefix}: {len(found)} trials begin so: {', '.join(found[:4])}; give more of the id"
        )
    if not found:
        there = f"{counted(len(logged), 'trial')} printed something: {', '.join(sorted(logged)[:4])}"
        raise UserError(
            f"{prefix}: {store.root} has no such trial; {there if logged else 'none printed anything'}"
        )
    if found[0] not in logged:
        raise UserError(
            f"{found[0]}: this trial printed nothing; `lrlc show {found[0]}` shows its row and error"
        )
    return store.log(found[0]).rstrip()
