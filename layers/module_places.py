"""The places of a library's network: its 3x3 convolutions, by module name."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from torch import nn

from lrlc.layers.errors import LayerError


@dataclass(frozen=True)
class ModulePlaces:
    """`convolutions` are the modules that a layer can replace, in the network's order.

    A module that contains some of them stands for all of these: `layer1` is every 3x3 convolution in `layer1`. `unfit`
    says why the network's other convolutions cannot be replaced.
    """

    network: str
    convolutions: tuple[str, ...]
    unfit: Mapping[str, str]

    @staticmethod
    def of(network: str, model: nn.Module) -> "ModulePlaces":
        """The places of `model`; LayerError if it has none."""
        named = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
        faults = {name: fault for name, module in named if (fault := _fault(module))}
        fit = tuple(name for name, _ in named if name not in faults)
        if not fit:
            told = [f"; {name} {fault}" for name, fault in faults.items() if "1x1" not in fault]
            raise LayerError(
                f"{network} has no 3x3 convolution that a layer could replace{''.join(told[-1:])}"
            )
        return ModulePlaces(network, fit, faults)

    @property
    def all(self) -> tuple[str, ...]:
        """Every place, with the fewest names: `layer1`, `layer2`, ..."""
        return self.canonical(self.convolutions)

    def canonical(self, names: Iterable[str]) -> tuple[str, ...]:
        """The same places with the fewest names, in the network's order; LayerError for a name that is not a place."""
        chosen = dict.fromkeys(self.within(names))
        return tuple(dict.fromkeys(self._widest(name, chosen) for name in chosen))

    def within(self, names: Iterable[str]) -> tuple[str, ...]:
        """The convolutions that the names stand for, in the network's order; LayerError as in `canonical`."""
        chosen = {conv for name in names for conv in self._named(name)}
        return tuple(conv for conv in self.convolutions if conv in chosen)

    def _named(self, name: object) -> Sequence[str]:
        found = [conv for conv in self.convolutions if _is_within(conv, str(name))]
        if found:
            return found
        if name in self.unfit:
            raise LayerError(f"{name} of {self.network} {self.unfit[str(name)]}, which no layer can replace")
        known = {part for conv in self.convolutions for part in _parents(conv)}
        near = get_close_matches(str(name), sorted(known), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"its places: {', '.join(self.all)}"
        raise LayerError(f"{name!r} names no module of {self.network} with 3x3 convolutions; {hint}")

    def _widest(self, conv: str, chosen: Mapping[str, None]) -> str:
        """The outermost module around `conv` all of whose places are chosen."""
        return next(
            name
            for name in _parents(conv)
            if all(other in chosen for other in self.convolutions if _is_within(other, name))
        )


def _parents(name: str) -> list[str]:
    """'a', 'a.b' and 'a.b.c' of 'a.b.c'."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _is_within(conv: str, name: str) -> bool:
    return conv == name or conv.startswith(f"{name}.")


def _fault(conv: nn.Conv2d) -> str | None:
    """Why no layer kind can replace this convolution."""
    height, width = conv.kernel_size
    if type(conv) is not nn.Conv2d:
        return f"is a {type(conv).__name__}"
    if (height, width) != (3, 3):
        return f"is a {height}x{width} convolution"
    if conv.groups != 1:
        return f"has {conv.groups} groups"
    if tuple(conv.dilation) != (1, 1):
        return f"is dilated by {conv.dilation[0]}"
    return None if conv.padding_mode == "zeros" else f"pads with {conv.padding_mode!r}"
