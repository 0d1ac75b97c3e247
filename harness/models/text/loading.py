"""Networks with the weights of a checkpoint, or with random ones of the same shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from harness.errors import UserError, did_you_mean
from harness.models.text.checkpoint import Checkpoint
from harness.models.text.dit import DiT
from harness.models.text.layouts import Layout, Net, Size
from harness.models.text.network import TextNetwork

Places = dict[str, str | int | torch.device]
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_BASE = 2**24 - 3
"""Length of the stretch of random numbers that random weights repeat; a prime, so that no two rows are the same."""


def dtype_of(name: str) -> torch.dtype:
    """The dtype of a name; UserError if it is none that a network can run in."""
    if name not in DTYPES:
        raise UserError(f"dtype is {name!r}.{did_you_mean(name, DTYPES)}")
    return DTYPES[name]


def empty_network(layout: Layout[Net, Size], config: Mapping[str, Any]) -> Net:
    """A network without memory for its weights."""
    with torch.device("meta"):
        return layout.build(layout.shape(config))


def check_checkpoint(checkpoint: Checkpoint, layout: Layout[Net, Size]) -> None:
    """Raise UserError if a tensor of the checkpoint is missing, or is not one of the network; where the weights are on
    disk, also if one has another shape, or a file is cut off. Of the weights, headers are read only."""
    names = layout.keys(layout.shape(checkpoint.config))
    checkpoint.check_keys(list(names))
    if checkpoint.is_here:
        parameters = dict(empty_network(layout, checkpoint.config).named_parameters())
        checkpoint.check_shapes({key: _place(parameters, name).shape for key, name in names.items()})


def load_network(
    checkpoint: Checkpoint, layout: Layout[Net, Size], dtype: torch.dtype, device: str, device_map: str = ""
) -> Net:
    """The checkpoint's network; UserError where a tensor is missing, too many or of the wrong shape, or the device is
    too small. With `device_map` `auto` its layers are spread over all GPUs, and the CPU takes what does not fit. On the
    device `meta` nothing is read."""
    if device != "meta":
        checkpoint.fetch()
    check_checkpoint(checkpoint, layout)
    names = layout.keys(layout.shape(checkpoint.config))

    def weights() -> Iterator[tuple[str, Tensor]]:
        total = sum(len(keys) for keys in checkpoint.shards.values())
        for key, tensor in tqdm(
            checkpoint.tensors(), total=total, desc="weights", unit="tensor", disable=None, leave=False
        ):
            yield names[key], tensor

    network = empty_network(layout, checkpoint.config)
    if device == "meta":
        network.to(dtype)
        return network
    places = _places(network, dtype, device, device_map)
    _fill(network, weights(), dtype, places)
    return _ready(network, device, places if device_map else None)


def random_network(layout: Layout[Net, Size], config: Mapping[str, Any], dtype: torch.dtype, device: str) -> Net:
    """The same network for the same sizes on every device, with weights that nothing was learnt in."""
    network = empty_network(layout, config)
    if device == "meta":
        network.to(dtype)
        return network
    places = _places(network, dtype, device, "")
    base = torch.randn(_BASE, generator=torch.Generator().manual_seed(0)).to(device, dtype)
    _fill(network, _random_weights(network, base), dtype, places)
    return _ready(network, device, None)


def _random_weights(network: TextNetwork | DiT, base: Tensor) -> Iterator[tuple[str, Tensor]]:
    start = 0
    for name, parameter in network.named_parameters():
        if "norm" in name and name.endswith("weight"):
            yield name, torch.ones(parameter.shape)
            continue
        size = parameter.numel()
        times = -(-(start + size) // _BASE)
        stretch = (base if times == 1 else base.repeat(times))[start : start + size]
        fan_in = 1 if parameter.dim() == 1 or name.startswith("embed") else parameter.shape[-1]
        yield name, stretch.view(parameter.shape) * fan_in**-0.5
        start = (start + size) % _BASE


def _fill(
    network: TextNetwork | DiT, weights: Iterator[tuple[str, Tensor]], dtype: torch.dtype, places: Places
) -> None:
    """Give the meta network its weights, each on the device of the longest prefix of its name in `places`."""
    parameters = dict(network.named_parameters())
    filled: dict[str, Tensor] = {}
    for name, tensor in weights:
        name, _, part = name.partition("#")
        prefix = max((prefix for prefix in places if f"{name}.".startswith(f"{prefix}." if prefix else "")), key=len)
        if not part:
            filled[name] = tensor.to(places[prefix], dtype)
            continue
        if name not in filled:
            filled[name] = torch.empty(parameters[name].shape, dtype=dtype, device=places[prefix])
        _part(filled[name], part).copy_(tensor)
    network.load_state_dict(filled, strict=False, assign=True)


def _place(parameters: Mapping[str, Tensor], name: str) -> Tensor:
    """Where in the network the tensor belongs that a layout calls `name`."""
    name, _, part = name.partition("#")
    return _part(parameters[name], part)


def _part(whole: Tensor, part: str) -> Tensor:
    """All of a tensor, or what `moe_keys` calls a part of it."""
    if not part:
        return whole
    expert, _, half = part.partition(".")
    own = whole[int(expert)]
    return own.chunk(2)[int(half)] if half else own


def _places(network: TextNetwork | DiT, dtype: torch.dtype, device: str, device_map: str) -> Places:
    """Prefix of a parameter's name to its device."""
    if not device_map:
        _check_memory(network, dtype, torch.device(device))
        return {"": device}
    if device_map != "auto":
        raise UserError(f"device_map is {device_map!r}; write auto, or leave it out for one device.")
    whole = [type(network.layers[0]).__name__]
    places: Places = _accelerate().infer_auto_device_map(network, no_split_module_classes=whole, dtype=dtype)
    if "disk" in places.values():
        raise UserError("device_map=auto: neither the GPUs nor the memory of this machine can hold the model.")
    return places


def _check_memory(network: TextNetwork | DiT, dtype: torch.dtype, device: torch.device) -> None:
    if device.type != "cuda":
        return
    needed = sum(parameter.numel() for parameter in network.parameters()) * dtype.itemsize
    free, _ = torch.cuda.mem_get_info(device)
    if needed > free:
        raise UserError(
            f"--device {device} has {free / 1e9:.1f} GB free, and the weights in {str(dtype).removeprefix('torch.')} "
            f"take {needed / 1e9:.1f} GB. Use a smaller dtype, device_map=auto or another device."
        )


def _ready(network: Net, device: str, places: Places | None) -> Net:
    network.eval().requires_grad_(False)
    network.settle("" if places else device)
    if places:
        _accelerate().dispatch_model(network, dict(places))
    return network


def _accelerate() -> Any:
    try:
        import accelerate
    except ImportError:
        raise UserError("device_map=auto needs accelerate: pip install 'mdm-harness[device-map]'.") from None
    return accelerate
