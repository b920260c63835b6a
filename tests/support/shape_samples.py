"""Studies with unusual shapes: made-up rows, committed through the store as by a run."""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

from lrlc.results.importance import Importance
from lrlc.results.schema import EpochRecord, TrialResult, TrialStatus, WeightMap
from lrlc.results.store import Store
from lrlc.results.tuning import Tuned
from lrlc.studies import recorded_study
from support.results_samples import NOT_MEASURED, measured, noted, result, tuned

PLUGINS = [
    f"plugin_{name}"
    for name in ("fourier", "graph", "hyper", "mixer", "neural_ode", "patch", "shuffle", "wave")
]
LONG = "a_study_of_shapes_that_goes_on_and_on_with_a_name_that_no_panel_has_room_for_whatever_its_width_is"

SEARCH = {
    "dataset": {"name": "mnist"}, "network": "three_layer", "trials": 25, "sampler": "tpe", "pruner": "none",
    "seeds": [0, 1], "space": {"kind": ["conv", "lrlc"], "rank": [1, 2, 4, 7], "train": {}},
}  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """The rows of a study, and its companion tables."""

    rows: list[TrialResult]
    title: str = "A made-up study"
    tuning: list[Tuned] = field(default_factory=list)
    objectives: list[tuple[str, str]] = field(default_factory=list)

    def store(self, folder: Path) -> Store:
        """Its tables, in a separate folder."""
        store = Store(folder / "shape")
        store.commit(self.rows)
        described: dict[str, Any] = {
            "name": "shape",
            "title": self.title,
            "datasets": [{"name": name} for name in dict.fromkeys(row.dataset for row in self.rows)],
            "network": "three_layer",
            "grid": [{"kind": list(dict.fromkeys(row.kind for row in self.rows))}],
            "seeds": sorted({row.seed for row in self.rows}),
        }
        if self.objectives:
            described["search"] = {
                **SEARCH,
                "objectives": [{"metric": m, "direction": d} for m, d in self.objectives],
            }
            store.write_importance(
                [Importance(metric, way, 24, {"kind": 0.7, "rank": 0.3}) for metric, way in self.objectives],
                "default",
            )
        store.write_study(recorded_study(described), "default", [])
        store.write_tuning(self.tuning, "default")
        for number, name in enumerate(dict.fromkeys(row.dataset for row in self.rows)):
            store.write_dataset(noted(name, 0.2 + number / 50))
        store.write_plan("default", [row.trial_id for row in self.rows])
        return store


def trial(
    kind: str = "conv",
    rank: int | None = None,
    placement: str = "",
    seed: int = 0,
    *,
    accuracy: float = 0.8,
    dataset: str = "mnist",
    options: str = "{}",
    epochs: int = 3,
    weights: tuple[float, ...] = (),
    **more: Any,
) -> TrialResult:
    """A finished trial whose accuracies scatter around `accuracy`; `weights` are each bank's, at 2x2 positions."""
    identity = f"{dataset}|{kind}|{rank}|{placement}|{options}|{seed}|{sorted(more.items())}"
    noise = random.Random(identity)
    test, validation = (min(1.0, accuracy + noise.gauss(0, 0.004)) for _ in range(2))
    curve = tuple(
        EpochRecord(epoch, 2 / epoch, 0.5, 2.1 / epoch, validation * (1 - 0.5**epoch), 0.1, 1.0)
        for epoch in range(1, epochs + 1)
    )
    maps = tuple(
        WeightMap(f"layer{place}", bank, None, 2, 2, weights or _map(bank, rank or 1))
        for place in (placement.split("+") if rank and kind != "wide_conv" else ())
        for bank in range(min(rank or 0, 8))
    )
    settings = {
        "translate": 0, "label": None, "draw": None, "shuffle_labels": False, "search_number": None,
        "epochs": epochs, "epochs_run": epochs, "study": "shape", "dataset_name": dataset.partition("+")[0],
        "test_accuracy": test, "validation_accuracy": validation, "curve": curve, "weights": maps,
        "parameters": 75_000 + 9_000 * (rank or 0) * (1 + placement.count("+")) + 40 * len(kind),
        "flops_per_image": 12_000_000 + 1_000_000 * (rank or 0) + 70_000 * len(kind),
    }  # fmt: skip
    return result(
        identity,
        dataset=dataset,
        kind=kind,
        rank=rank,
        placement=placement,
        options=options,
        seed=seed,
        **{**settings, **NOT_MEASURED, **more},
    )


def _map(bank: int, rank: int) -> tuple[float, ...]:
    logits = [[math.sin(position + 2 * each) for each in range(rank)] for position in range(4)]
    return tuple(math.exp(each[bank]) / sum(map(math.exp, each)) for each in logits)


def plugin_kinds_only() -> Shape:
    """Eight kinds, none of them built in; three have ranks and places."""
    rows = [
        trial(kind, rank, place, seed, accuracy=0.7 + number / 100 + (rank or 0) / 200)
        for number, kind in enumerate(PLUGINS)
        for rank, place in (product((2, 4), ("1", "3")) if number < 3 else [(None, "3")])
        for seed in range(3)
    ]
    return Shape(measured(rows))


def twelve_learning_rates() -> Shape:
    rows = [
        trial(
            kind, rank, "3" if rank else "", seed, accuracy=0.9 - number / 50, learning_rate=0.4 / 2**number
        )
        for number in range(12)
        for kind, rank in (("conv", None), ("lrlc", 2), ("lrlc", 4))
        for seed in range(2)
    ]
    rates = [0.4 / 2**number for number in range(12)]
    return Shape(measured(rows), tuning=[tuned("mnist", kind, 0.1, rates) for kind in ("conv", "lrlc")])


def three_channels_of_options() -> Shape:
    """One data set; layers that differ only in options."""
    channels = [
        f'{{"normalize": "{norm}", "share": "{share}", "start": "{start}"}}'
        for norm, share, start in product(("softmax", "l2"), ("rows", "none"), ("he", "keras"))
    ]
    rows = [trial(seed=seed) for seed in range(4)]
    rows += [
        trial("lrlc", rank, "3", seed, options=options, accuracy=0.8 + number / 100 + rank / 100)
        for number, options in enumerate(channels)
        for rank in (2, 4)
        for seed in range(4)
    ]
    rows += [
        trial("locally_connected", None, "3", seed, options=options, accuracy=0.7)
        for options in ("{}", '{"start": "keras"}')
        for seed in range(4)
    ]
    return Shape(measured(rows))


def two_objectives() -> Shape:
    cells = [("conv", None, ""), *product(["lrlc", PLUGINS[0]], (1, 2, 4, 7), ("1", "3", "1+3"))]
    rows = [
        trial(kind, rank, place, seed, accuracy=0.7 + 0.02 * (rank or 0), search_number=number)
        for number, (kind, rank, place) in enumerate(cells)
        for seed in range(2)
    ]
    rows[3] = replace(rows[3], status=TrialStatus.DIVERGED, test_accuracy=None, validation_accuracy=None)
    return Shape(rows, objectives=[("validation_accuracy", "maximize"), ("parameters", "minimize")])


def names_that_are_markup() -> Shape:
    """Names with special characters of mathematical text, Markdown and HTML, and characters missing from the fonts."""
    names = ["$\\frac{1$", "100%_{a}^b|<i>x", "数据集 🚀 _under_ *star* `tick`"]
    kinds = ["conv", "lrlc", "p$lug^in_{", "<b>kind</b>"]
    rows = [
        trial(kind, 2 if kind == "lrlc" else None, "" if kind == "conv" else "3", seed, dataset=name)
        for name, kind, seed in product(names, kinds, range(2))
    ]
    rows += [
        trial("lrlc", 4, place, seed, dataset=name) for name, place, seed in product(names, "13", range(2))
    ]
    return Shape(measured(rows), title="$\\frac{1$ of *everything* <script>")


def one_seed() -> Shape:
    cells = [
        ("conv", None, ""),
        ("wide_conv", 4, "3"),
        ("locally_connected", None, "3"),
        ("coord_conv", None, "1"),
    ]
    cells += product(["lrlc", "lrlc_input_dependent"], (1, 2, 4), ("1", "3"))
    rows = [
        trial(kind, rank, place, dataset=name, accuracy=0.5 + (rank or 0) / 20)
        for name in ("mnist", "cifar10")
        for kind, rank, place in cells
    ]
    shifted = [
        replace(row, trial_id=f"{row.trial_id}t", dataset="mnist+t4", translate=4)
        for row in rows
        if row.dataset == "mnist"
    ]
    more = [
        replace(row, trial_id=f"{row.trial_id}m", train_images=3000, dataset="fashion_mnist")
        for row in rows[:6]
    ]
    less = [replace(row, trial_id=f"{row.trial_id}l", train_images=1000) for row in more]
    return Shape(measured(rows) + shifted + more + less, tuning=[tuned("mnist", "lrlc", 0.4)])


def failed_cells_only() -> Shape:
    lost = {"test_accuracy": None, "validation_accuracy": None, "curve": (), "weights": ()}
    endings = (TrialStatus.FAILED, TrialStatus.DIVERGED, TrialStatus.OUT_OF_MEMORY)
    rows = [
        replace(trial(kind, rank, "3"), status=ending, error="RuntimeError: no", **lost)
        for (kind, rank), ending in zip([("conv", None), ("lrlc", 2), ("lrlc", 4)], endings, strict=True)
    ]
    return Shape(rows)


def very_long_names() -> Shape:
    kinds = ["conv", "lrlc", f"kind_{LONG}_1", f"kind_{LONG}_2"]
    options = f'{{"{LONG}": "{LONG}"}}'
    rows = [
        trial(kind, rank, "1+2+3" if kind != "conv" else "", seed, dataset=name, options=chosen, network=LONG)
        for name in (f"{LONG}_a", f"{LONG}_b")
        for kind in kinds
        for rank in ((2, 4) if kind != "conv" else (None,))
        for chosen in (("{}", options) if kind != "conv" else ("{}",))
        for seed in range(2)
    ]
    long_tuned = [tuned(name, kind, 0.1) for name in (f"{LONG}_a", f"{LONG}_b") for kind in kinds]
    return Shape(measured(rows), title=LONG, tuning=long_tuned)


def perfect_accuracies_and_flat_weights() -> Shape:
    """Every image is classified correctly, except by one seed of one cell, and combining weights hardly moved."""
    flat = (0.492, 0.508, 0.5, 0.498)
    rows = [
        replace(
            row, test_accuracy=0.6 if (row.kind, row.seed) == ("lrlc", 1) else 1.0, validation_accuracy=1.0
        )
        for row in (
            trial(kind, rank, place, seed, dataset=name, weights=flat)
            for name in ("mnist", "cifar10")
            for kind, rank, place in [
                ("conv", None, ""),
                *product(["lrlc", "lrlc_input_dependent"], (2, 4), ("1", "3")),
            ]
            for seed in range(2)
        )
    ]
    return Shape(measured(rows))


def many_places_and_ranks() -> Shape:
    """A deep network: sixteen places, ranks to 64; three more data sets beside."""
    places = [str(number) for number in range(1, 17)]
    cells = [("conv", None, ""), ("lrlc", 2, "3"), ("locally_connected", None, "3")]
    rows = [
        trial("lrlc", rank, place, seed, accuracy=0.6 + rank / 400, epochs=1)
        for rank, place, seed in product((1, 2, 3, 5, 8, 12, 16, 32, 64), places, range(2))
    ]
    rows += [
        trial(
            kind,
            2 if kind == "lrlc" else None,
            "" if kind == "conv" else "3",
            seed,
            dataset=f"set{number}",
            epochs=1,
        )
        for number, (kind, rank, place), seed in product(range(3), cells, range(2))
    ]
    rows += [trial(seed=seed, epochs=1) for seed in range(2)]
    return Shape(rows)


SHAPES: Mapping[str, Callable[[], Shape]] = {
    made.__name__: made
    for made in (
        plugin_kinds_only,
        twelve_learning_rates,
        three_channels_of_options,
        two_objectives,
        names_that_are_markup,
        one_seed,
        failed_cells_only,
        very_long_names,
        perfect_accuracies_and_flat_weights,
        many_places_and_ranks,
    )
}
