"""Titles as in rows: write a study's `size` and `draw` into its data sets, and the size into claims that name them."""

from collections.abc import Collection
from dataclasses import replace

from lrlc.studies.claims import DATASET_KEYS, Claim
from lrlc.studies.dataset_spec import DatasetSpec
from lrlc.studies.schema import Study
from lrlc.studies.titles import Title


def with_titles(study: Study) -> Study:
    """The study with its `size` and `draw` in each data set that sets none.

    A claim may leave the size out of a title, which then means the data set of that name as used in the study.
    """
    datasets = [_completed(spec, study) for spec in study.datasets]
    search = study.search
    if search is not None:
        search = search.model_copy(update={"dataset": _completed(search.dataset, study)})
    trained_on = [*datasets, *([search.dataset] if search else [])]
    titles = [Title.of(dict(spec)) for spec in trained_on]
    claims = [_claim(claim, titles, study.size) for claim in study.claims]
    return study.model_copy(update={"datasets": datasets, "search": search, "claims": claims})


def _completed(spec: DatasetSpec, study: Study) -> DatasetSpec:
    draw = spec.draw if "draw" in spec.model_fields_set else study.draw
    return spec.model_copy(update={"size": spec.size or study.size, "draw": draw})


def _claim(claim: Claim, titles: Collection[Title], size: tuple[int, int] | None) -> Claim:
    named = {key: getattr(claim, key) for key in DATASET_KEYS if getattr(claim, key, None)}
    full = {key: [_full(title, titles, size) for title in given] for key, given in named.items()}
    return claim.model_copy(update=full)


def _full(text: str, titles: Collection[Title], size: tuple[int, int] | None) -> str:
    title = Title.parse(text)
    if title.size is not None:
        return text
    same = {each.size for each in titles if _same_images(each, title)}
    return str(replace(title, size=same.pop() if len(same) == 1 else size))


def _same_images(one: Title, other: Title) -> bool:
    return (one.name, one.image, one.label) == (other.name, other.image, other.label)
