"""A wrong study is refused before it runs, in one line: the file, the key, the given value, what is allowed."""

from pathlib import Path

import pytest
from support.studies_samples import HEAD, SEARCH, parsed

from lrlc.studies import StudyError, read_study

MORE_FOLDERS = "(a folder of Parquet files needs a path with a '/')"


def refusal(text: str, *overrides: str, profile: str | None = None) -> str:
    with pytest.raises(StudyError) as caught:
        parsed(text, *overrides, profile=profile)
    (line,) = str(caught.value).splitlines()
    return line


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["epochs=2"], "epochs: unknown key; did you mean 'train.epochs'?"),
        (["train.epochs=two"], "train.epochs: expected a whole number, got 'two'"),
        (["trian.epochs=2"], "trian: unknown key; did you mean 'train'?"),
        (["resources.cpu=2"], "resources.cpu: unknown key; did you mean 'cpus'?"),
        (
            ["datasets=[{name: mnist, translat: 8}]"],
            "datasets[0].translat: unknown key; did you mean 'translate'?",
        ),
        (["layer.shar=rows"], "layer.shar: no layer kind takes it; did you mean 'share'?"),
        (["datasets=mnits"], "datasets[0]: unknown data set 'mnits'; did you mean 'mnist'? " + MORE_FOLDERS),
        (["datasets=5"], "datasets[0]: expected a name, a folder's path or a mapping, got 5"),
        (
            ["datasets={name: mnist, translate: -8}"],
            "datasets[0].translate: expected at least 0, got -8",
        ),
        (["datasets={name: mnist, path: a/b}"], "datasets[0]: give either a name or a path"),
        (["datasets=[]"], "grid[0]: no dataset, and the study has no datasets"),
        (["grid={kind: []}"], "grid[0].kind: an empty list; give a value, or leave it out"),
        (["grid={kind: lrlc, rank: []}"], "grid[0].rank: an empty list; give a value, or leave it out"),
        (["train.recipe=focal"], "train.recipe: unknown recipe 'focal'; known: cross_entropy"),
        (["network=resnet5"], "network: unknown network 'resnet5'; did you mean 'resnet50'?"),
        (["seeds=0"], "seeds: no seeds; give a number of at least 1 or a list"),
        (["seeds=three"], "seeds: expected a number of at least 1 or a list, got 'three'"),
        (["train.epochs=yes"], "train.epochs: expected a number, got True"),
        (["train.learning_rate=.inf"], "train.learning_rate: expected a finite number, got inf"),
        (["train.precision=float23"], "train.precision: unknown value 'float23'; did you mean 'float32'?"),
        (["measure.shift=1"], "measure.shift: unknown key; did you mean 'shifts'?"),
        (["measure.shifts=[0, 1, 0]"], "measure.shifts: [0, 1, 0] lists a distance twice"),
        (["measure.shifts=-1"], "measure.shifts[0]: expected at least 0, got -1"),
        (["measure=shifts"], "measure: expected a mapping, got 'shifts'"),
        (["train=3"], "train: expected a mapping, got 3"),
        (
            ["decision.alpha=1e-300"],
            "decision.alpha: expected at least 1e-06, got 1e-300",
        ),
        (
            ["claims=[{name: A, test: smooth, ours: lrlc, dataset: mnist}]"],
            "claims[0].dataset: unknown key; did you mean 'datasets'?",
        ),
        (
            [
                "claims=[{name: A, test: change, ours: lrlc, theirs: conv, before: mnist, after: utkface, metric: m}]"
            ],
            "claims[0].metric: unknown key; known: after, before, direction, margin, matched, name, ours, says, "
            "test, theirs",
        ),
        (
            ["claims=[{name: A, test: difference, ours: conv, theirs: {kind: conv}}]"],
            "claims[0]: ours and theirs are the same cells; a claim compares different ones",
        ),
        (
            [
                "claims=[{name: A, test: change, ours: lrlc, theirs: conv, before: mnist, after: [mnist, utkface]}]"
            ],
            "claims[0]: before and after both name 'mnist'; name different data sets",
        ),
        (
            ["claims=[{name: A, test: best_rank, ours: lrlc, higher_on: mnist, than_on: mnist}]"],
            "claims[0]: higher_on and than_on both name 'mnist'; name different data sets",
        ),
        (
            ["grid={rank: 1}"],
            "grid[0]: no kind; known: conv, coord_conv, locally_connected, lrlc, lrlc_input_dependent, wide_conv",
        ),
        (["grid={kind: [[conv]]}"], "grid[0].kind: expected a name or a number, got ['conv']"),
        (
            ["grid={kind: wide_conv}"],
            "grid[0].rank: wide_conv needs a whole rank of at least 1; none was given",
        ),
        (["grid={kind: lrlc, rank: [1, 0]}"], "grid[0].rank: lrlc needs a whole rank of at least 1; got 0"),
        (
            ["grid={kind: coord_conv, placement: []}"],
            "grid[0].placement: expected 'all', 'subsets', a place or a list of places, got []",
        ),
        (
            ["grid={kind: conv, dataset.size: {a: 1}}"],
            "grid[0].dataset.size: expected pixels or [height, width], got {'a': 1}",
        ),
        (
            ["grid={kind: conv, dataset.size: [[[8, 12]]]}"],
            "grid[0].dataset.size: expected pixels or [height, width], got [[8, 12]]",
        ),
        (
            ["grid=[{kind: conv}, {kind: conv, dataset.evaluation_images: [50, 99]}]", "datasets=mnist"],
            "grid[1]: cells that differ only in evaluation_images (all and 50 of mnist) would be mixed in tables; "
            "give one number",
        ),
        (["layer={share: [rows]}"], "layer.share: expected a name or a number, got ['rows']"),
        (
            ["claims=[{name: A, test: difference, ours: lrlc, theirs: conv, direction: equal}]"],
            "claims[0]: direction 'equal' needs a margin, in points of accuracy",
        ),
        (["grid={kind: conv, ranks: 1}"], "grid[0].ranks: unknown axis; did you mean 'rank'?"),
        (
            ["grid={kind: conv, learning_rate: 1}"],
            "grid[0].learning_rate: unknown axis; did you mean 'train.learning_rate'?",
        ),
        (["grid={kind: conv, layer.share: rows}"], "grid[0].layer.share: no kind here takes it; known: none"),
        (
            ["grid={kind: lrlc, rank: 1, layer.share: {a: 1}}"],
            "grid[0].layer.share: expected a name or a number, got {'a': 1}",
        ),
        (
            ["grid={kind: conv, train.epochs: [1, 0]}"],
            "grid[0].train.epochs: expected at least 1, got 0",
        ),
        (
            ["train.epochs=["],
            "train.epochs=[: the value is not valid YAML: line 1, column 2: "
            "expected the node content, but found '<stream end>'",
        ),
    ],
)
def test_a_fault_is_one_line_with_the_file_the_key_and_what_is_allowed(
    overrides: list[str], line: str
) -> None:
    assert refusal(HEAD + "grid: {kind: conv}", *overrides) == f"my.yaml: {line}"


def test_a_profile_cannot_rename_its_study() -> None:
    text = HEAD + "grid: {kind: conv}\nprofiles: {long: {name: other}}\n"
    assert refusal(text, profile="long") == (
        "my.yaml: profiles.long.name: a profile belongs to its study; leave the name out"
    )


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("sampller=tpe", "search.sampller: unknown key; did you mean 'sampler'?"),
        ("sampler=tep", "search.sampler: unknown value 'tep'; did you mean 'tpe'?"),
        ("pruner=mediam", "search.pruner: unknown value 'mediam'; did you mean 'median'?"),
        ("trials=0", "search.trials: expected at least 1, got 0"),
        ("seeds=0", "search.seeds: no seeds; give a number of at least 1 or a list"),
        ("seeds=[2, 2]", "search.seeds: [2, 2] lists a seed twice"),
        ("dataset=mnits", "search.dataset: unknown data set 'mnits'; did you mean 'mnist'? " + MORE_FOLDERS),
        ("network=resnet5", "search.network: unknown network 'resnet5'; did you mean 'resnet50'?"),
        (
            "objectives=[{metrc: parameters, direction: minimize}]",
            "search.objectives[0].metrc: unknown key; did you mean 'metric'?",
        ),
        (
            "objectives=[{metric: test_accuracy, direction: maximize}]",
            "search.objectives[0].metric: unknown value 'test_accuracy'; did you mean 'validation_accuracy'?",
        ),
        ("space.kinds=[conv]", "search.space.kinds: unknown key; did you mean 'kind'?"),
        ("space.kind=[lrcl]", "search.space.kind: unknown layer kind 'lrcl'; did you mean 'lrlc'?"),
        ("space.rank=[0]", "search.space.rank[0]: expected at least 1, got 0"),
        (
            "space.placement=[[9]]",
            "search.space.placement: 9 is outside the network, which has places 1 to 3",
        ),
        (
            "space.train={epochs: {low: 8, high: 64}}",
            "search.space.train.epochs: cannot be searched; every trial has the epochs of train.epochs",
        ),
        (
            "space.train={learning_rate: {low: -1, high: 1}}",
            "search.space.train.learning_rate.low: expected more than 0, got -1.0",
        ),
        (
            "space.train={learning_rate: {low: 1, high: 0.1}}",
            "search.space.train.learning_rate: low 1 must be under high 0.1",
        ),
        (
            "space.train={momentum: {low: 0, high: 0.9, log: true}}",
            "search.space.train.momentum: low 0 must be over 0 on a log scale",
        ),
        (
            "space.train={momentum: {low: 0}}",
            "search.space.train.momentum.high: missing, and it has no default",
        ),
    ],
)
def test_a_fault_in_a_search_is_found_before_it_runs(override: str, line: str) -> None:
    assert refusal(SEARCH, f"search.{override}") == f"my.yaml: {line}"


def test_a_pruner_is_refused_if_it_would_prune_wrongly() -> None:
    up, down = (
        "{metric: validation_accuracy, direction: maximize}",
        "{metric: validation_loss, direction: minimize}",
    )
    several = refusal(SEARCH, "search.pruner=median", f"search.objectives=[{up}, {down}]")
    assert several == (
        "my.yaml: search: pruner 'median' needs a single objective; Optuna cannot prune several"
    )
    other = refusal(SEARCH, "search.pruner=wilcoxon", f"search.objectives=[{down}]")
    assert other == (
        "my.yaml: search: pruner 'wilcoxon' watches validation_accuracy and cannot serve"
        " the objective 'validation_loss'"
    )
    parsed(SEARCH, "search.pruner=median", f"search.objectives=[{up}]")
    parsed(SEARCH, f"search.objectives=[{up}, {down}]")


def test_a_file_that_is_not_a_study_is_named(tmp_path: Path) -> None:
    broken, empty = tmp_path / "broken.yaml", tmp_path / "empty.yaml"
    broken.write_text("grid: [1, 2\n")
    empty.write_text("")
    for path, said in ((broken, "not YAML"), (empty, "expected a mapping")):
        with pytest.raises(StudyError, match=said) as caught:
            read_study(str(path))
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)
    with pytest.raises(StudyError, match="did you mean 'quickstart'"):
        read_study("quickstrat")
