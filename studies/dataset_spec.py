"""A data set as a study names it: by name or folder, with its limits, size and modifications."""

from typing import Any, Literal

from pydantic import model_validator

from lrlc.studies.fields import Images, Model, Pixels, Size
from lrlc.studies.titles import Title

Draw = Literal["first", "seed"]


class DatasetSpec(Model):
    """A data set, by its name or the path of a folder, and how it is modified."""

    name: str | None = None
    path: str | None = None
    translate: Pixels = 0
    label: str | None = None
    image: str | None = None
    """The column of images, if a user's folder has several."""
    train_images: Images | None = None
    """How many training images to use, after holding out validation; `draw` chooses which."""
    evaluation_images: Images | None = None
    """How many validation and test images to use, counted from the first."""
    size: Size | None = None
    """(H, W) to shrink images to when decoding; None keeps their size."""
    draw: Draw = "first"
    """Use the first `train_images`, or draw as many for each seed, stratified by label."""
    shuffle_labels: bool = False
    """Permute training and validation labels by seed (as a null); test labels are unchanged."""

    @model_validator(mode="after")
    def _is_one(self) -> "DatasetSpec":
        if (self.name is None) == (self.path is None):
            raise ValueError("give either a name or a path")
        if self.image is not None and self.path is None:
            raise ValueError(f"{self.name} has only one kind of image; leave `image` out")
        return self

    @property
    def title(self) -> str:
        """Its name in tables and figures: 'mnist', 'celeba:Smiling', 'mnist@14+t2'."""
        return str(Title.of(dict(self)))

    def identity(self) -> dict[str, Any]:
        """JSON-able; newer keys are left out at their default, so that earlier ids stay the same."""
        fields = type(self).model_fields
        return {
            key: value
            for key, value in self.model_dump().items()
            if key not in _LATER_KEYS or value != fields[key].default
        }


_LATER_KEYS = ("size", "draw", "shuffle_labels", "image")
