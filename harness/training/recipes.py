"""Recipes by name: what a training step minimises instead of the cross-entropy."""

from collections.abc import Callable

from torch import Tensor, nn

from lrlc.harness.errors import UserError
from lrlc.harness.registry import Registry
from lrlc.harness.training.augmentations import Batch
from lrlc.studies.fields import OFF
from lrlc.studies.training import CROSS_ENTROPY, Training

StepLoss = Callable[[Batch], tuple[Tensor, Tensor]]
"""Maps a batch to the scalar loss that is minimised and the network's logits (n, classes)."""
Recipe = Callable[[nn.Module, Training], StepLoss]
RECIPES: Registry[Recipe] = Registry("recipe")


def recipe(name: str, *, capturable: bool = False) -> Callable[[Recipe], Recipe]:
    """Register `(network, training) -> (batch -> loss, logits)` as the recipe `name`.

    It is built once per trial, when the network has its initial weights; if it returns a module, the module's state is
    saved in checkpoints. A layer's own penalty is added to the loss. With `capturable` a step on a GPU is replayed
    from a CUDA graph, in which only tensors may decide what happens. UserError for `none` and `cross_entropy`, which
    mean training without a recipe.
    """
    if name in (OFF, CROSS_ENTROPY):
        raise UserError(f"the recipe {name!r} has the name for training without a recipe; choose another")
    return RECIPES.register(name, capturable=capturable)


def make_recipe(network: nn.Module, training: Training) -> StepLoss | None:
    """The study's recipe for the network, on its device; None without one."""
    if training.recipe is None:
        return None
    made = RECIPES[training.recipe].build(network, training)
    return made.to(next(network.parameters()).device) if isinstance(made, nn.Module) else made
