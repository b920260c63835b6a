"""`lrlc logs STUDY --trial ID`: what a trial printed."""

from lrlc.harness.api.trial_ids import full_id
from lrlc.harness.errors import UserError
from lrlc.harness.text import counted


def trial_log(study: str, prefix: str, results: str) -> str:
    """The output of all attempts of the trial whose id begins with `prefix`; UserError if there is none."""
    from lrlc.harness.named_store import existing_store

    store = existing_store(study, results)
    logged, known = store.logged(), set(store.trials(["trial_id"])["trial_id"])
    listed = f"{counted(len(logged), 'trial')} printed output: {', '.join(sorted(logged)[:4])}"
    instead = listed if logged else "none printed anything"
    trial_id = full_id(prefix, logged | known, str(store.root), instead)
    if trial_id not in logged:
        raise UserError(
            f"{trial_id}: this trial printed nothing; `lrlc show {trial_id}` shows its row and error"
        )
    return store.log(trial_id).rstrip()
