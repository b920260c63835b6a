"""The report describes in readable sentences how the rows were trained."""

from typing import Any

import pandas as pd
from support.results_samples import result

from lrlc.results.report.asked import section
from lrlc.results.report.training import sentences
from lrlc.results.schema import to_tables
from lrlc.results.store import StudyRecord
from lrlc.studies import Training, recorded_study
from lrlc.studies.training import as_columns


def trained(*ways: dict[str, Any]) -> pd.DataFrame:
    """A row for each way of training."""
    trainings = [Training.model_validate({"warmup_epochs": 0.5, **way}) for way in ways]
    columns = [
        {"momentum": each.momentum, "warmup_epochs": each.warmup_epochs, **as_columns(each)}
        for each in trainings
    ]
    return to_tables([result(**each) for each in columns])["trials"].to_pandas()


def test_the_sentence_says_how_the_rows_were_trained() -> None:
    assert sentences(Training(), trained({})).startswith(
        "Stochastic gradient descent with Nesterov momentum, linear warm-up and cosine decay; no augmentation and no "
        "weight decay."
    )
    decayed = {"optimizer": "adamw", "weight_decay": 0.01}
    rows = trained({**decayed, "augment": "none"}, {**decayed, "augment": "flip+crop"})
    assert sentences(Training(), rows).startswith(
        "AdamW, linear warm-up and cosine decay; augmentation by flip+crop or none, and weight decay 0.01."
    )
    several = trained({"warmup_epochs": 0}, {"schedule": "constant", "label_smoothing": 0.1, "ema": 0.9})
    assert (
        "no warm-up or linear warm-up, cosine decay or a constant learning rate, label smoothing 0.1 or 0, evaluated "
        "on a moving average of the weights (decay 0.9 or none); no augmentation"
    ) in sentences(Training(), several)
    assert "decay 0.5" in sentences(Training(ema=0.5), several[:0])


def test_tables_name_settings_readably() -> None:
    rows = trained({"augment": "flip+crop", "ema": 0.9}, {"augment": "none"})
    varied = {"train.augment": ["none", ["flip", "crop"]], "train.ema": [None, 0.9]}
    block = {"kind": "conv", **varied, "train.recipe": [None, "focal"]}
    asked = recorded_study({"name": "s", "grid": [block]})
    said = str(section(StudyRecord("full", asked, ()), rows))
    for told in ("none, flip+crop", "none, 0.9", "cross-entropy, focal"):
        assert f"'{told}'" in said
    assert "'augment': 'flip+crop, none'" in said
    assert "'EMA': '0.9, none'" in said
