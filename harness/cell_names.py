"""What distinguishes the cells of a study: their kinds, ranks and placements, and the settings in which they differ."""

from collections.abc import Iterable, Mapping

from lrlc.results.names import layers_name, setting_name
from lrlc.studies.places import placement_text
from lrlc.studies.training import LATER_KEYS, as_columns
from lrlc.studies.trial_config import TrialConfig


def layer_label(config: TrialConfig) -> str:
    """'mnist lrlc rank 4 layers 1+2+3'."""
    rank = f" rank {config.rank}" if config.rank else ""
    placement = f" {layers_name(text)}" if (text := placement_text(config.placement)) else ""
    return f"{config.dataset.title} {config.kind}{rank}{placement}"


def varying_names(configs: Iterable[TrialConfig]) -> tuple[str, ...]:
    """The settings in which these cells differ, beyond data set, kind, rank and placement."""
    values: dict[str, set[str]] = {}
    # Most cells share all of these with others, and listing them takes most of the time.
    different = {(each.dataset, each.network, each.options, each.train): each for each in configs}
    found = [_settings(config) for config in different.values()]
    for name in dict.fromkeys(name for each in found for name in each):
        values[name] = {str(each.get(name)) for each in found}
    return tuple(name for name, distinct in values.items() if len(distinct) > 1)


def changed_names(config: TrialConfig) -> tuple[str, ...]:
    """The newer training settings that are not at their defaults."""
    return tuple(name for name, value in as_columns(config.train).items() if value is not None)


def named_settings(config: TrialConfig, names: Iterable[str]) -> list[str]:
    """'learning rate 0.1', 'share rows': these settings of a cell, without those that it lacks."""
    found = _settings(config)
    return [
        setting_name(name, found[name])
        for name in names
        if name in found and (name in LATER_KEYS or found[name] is not None)
    ]


def _settings(config: TrialConfig) -> Mapping[str, object]:
    """All settings that the layer label lacks; newer training settings are None at their default."""
    dataset, training = config.dataset, {**dict(config.train), **as_columns(config.train)}
    limits = {
        "training images": dataset.train_images,
        "evaluation images": dataset.evaluation_images,
        "draw": dataset.draw,
    }
    return {"network": config.network, **limits, **dict(config.options), **training}
