"""The studies: what one is (schema), how its file is read (loading), which trials it stands for (expand)."""

from studies.errors import StudyError
from studies.expand import expand, has_places, suggested_configs, trial_id
from studies.loading import merge, parse_study, read_study, shipped_studies, study_name, study_title
from studies.schema import (
    Catalogue,
    DatasetSpec,
    Interval,
    Measure,
    Resources,
    Search,
    Study,
    Training,
    TrialConfig,
    placements,
)
from studies.stages import LengthCheck, Tune
from studies.tuning import (
    Group,
    Pilots,
    Setting,
    masked_settings,
    pilots,
    tuned_grid,
    untuned,
    with_fewer_epochs,
)

__all__ = [
    "Catalogue",
    "DatasetSpec",
    "Group",
    "Interval",
    "LengthCheck",
    "Measure",
    "Pilots",
    "Resources",
    "Search",
    "Setting",
    "Study",
    "StudyError",
    "Training",
    "TrialConfig",
    "Tune",
    "expand",
    "has_places",
    "masked_settings",
    "merge",
    "parse_study",
    "pilots",
    "placements",
    "read_study",
    "shipped_studies",
    "study_name",
    "study_title",
    "suggested_configs",
    "trial_id",
    "tuned_grid",
    "untuned",
    "with_fewer_epochs",
]
