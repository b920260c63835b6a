"""Studies: their schema (schema), reading their files (loading), and expanding them into trials (expand)."""

from lrlc.studies.catalogue import Catalogue, KindOption
from lrlc.studies.dataset_spec import DatasetSpec
from lrlc.studies.errors import StudyError
from lrlc.studies.expand import Grid, expand, has_places, limited, suggested_configs, trial_id
from lrlc.studies.loading import checked_grid, read_study, shipped_studies, study_name, study_title
from lrlc.studies.overrides import merge
from lrlc.studies.places import placement_text, placements
from lrlc.studies.recorded import recorded_study
from lrlc.studies.schema import Measure, Resources, Study
from lrlc.studies.search import Constraint, Search
from lrlc.studies.space import Interval
from lrlc.studies.stages import LengthCheck, Tune
from lrlc.studies.training import Training
from lrlc.studies.trial_config import TrialConfig
from lrlc.studies.tuning import (
    Group,
    Pilots,
    Setting,
    masked_settings,
    pilots,
    tuned,
    untuned,
    with_fewer_epochs,
)

__all__ = [
    "Catalogue",
    "Constraint",
    "DatasetSpec",
    "Grid",
    "Group",
    "Interval",
    "KindOption",
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
    "checked_grid",
    "expand",
    "has_places",
    "limited",
    "masked_settings",
    "merge",
    "pilots",
    "placement_text",
    "placements",
    "read_study",
    "recorded_study",
    "shipped_studies",
    "study_name",
    "study_title",
    "suggested_configs",
    "trial_id",
    "tuned",
    "untuned",
    "with_fewer_epochs",
]

if __name__ != "lrlc.studies":
    raise ImportError(f"import lrlc.studies, not {__name__}: {__file__} would be a second copy of it")
