"""What a search says before it starts: what a user might not expect of this sampler in this space, a line each."""

from lrlc.harness.search.optuna_setup import BLIND_TO_CONDITIONS, BLIND_TO_CONSTRAINTS
from lrlc.harness.search.space import SearchSpace
from lrlc.harness.text import counted, say


def say_notices(space: SearchSpace) -> None:
    """Warn of a space with fewer suggestions than are asked for, and of what the sampler does not take into account."""
    search, size = space.search, space.size
    if size is not None and size < search.trials:
        rest = "ends there" if search.sampler == "brute_force" else "answers the others from their rows"
        say(
            f"search: the space holds {counted(size, 'suggestion')}, {search.trials} are asked for; it {rest}"
        )
    if search.constraints and search.sampler in BLIND_TO_CONSTRAINTS:
        say(
            f"search: sampler {search.sampler} ignores all results, and so the constraints; tpe, gp and nsga2 "
            "take them into account"
        )
    if space.is_conditional and search.sampler in BLIND_TO_CONDITIONS:
        say(
            f"search: sampler {search.sampler} draws parameters that only some kinds have at random; tpe learns "
            "them too"
        )


def say_nothing_is_left(done: int) -> None:
    """Say that rows already answer every suggestion that is asked for in a new space."""
    answered = f"all {done} suggestions" if done > 1 else "the one suggestion"
    say(
        f"search: rows answer {answered} that search.trials asks for in this space; raise it to explore what "
        "the space has gained"
    )


def say_repeats(count: int) -> None:
    """Say why fewer trials were trained than the search counts; nothing if no suggestion repeats another."""
    if count:
        say(
            f"search: rows of other trials answer {counted(count, 'suggestion')} of this run without training"
        )
