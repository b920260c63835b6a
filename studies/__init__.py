"""The studies: what one is (schema), how its file is read (loading), which trials it stands for (expand)."""

from studies.errors import StudyError
from studies.expand import expand, has_places, suggested_configs, trial_id
from studies.loading import merge, parse_study, read_study, shipped_studies, study_name, study_title
from studies.schema import (
    Catalogue,
    DatasetSpec,
    Interval,
    Resources,
    Search,
    Study,
    Training,
    TrialConfig,
    placements,
)

__all__ = [
    "Catalogue",
    "DatasetSpec",
    "Interval",
    "Resources",
    "Search",
    "Study",
    "StudyError",
    "Training",
    "TrialConfig",
    "expand",
    "has_places",
    "merge",
    "parse_study",
    "placements",
    "read_study",
    "shipped_studies",
    "study_name",
    "study_title",
    "suggested_configs",
    "trial_id",
]
