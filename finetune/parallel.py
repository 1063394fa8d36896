"""Several processes on one training, each with a share of every batch: `torchrun -m finetune train`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import distributed

Part = TypeVar("Part")


@contextmanager
def joined() -> Iterator[None]:
    """Where torchrun has started this process: in step with the others, each on its own GPU if there are any."""
    if not distributed.is_torchelastic_launched():
        yield
        return
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(distributed.get_node_local_rank())
    distributed.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def leads() -> bool:
    """Whether this process is the one that writes and speaks."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


@contextmanager
def leader_first() -> Iterator[None]:
    """What is in it is done by the leader first, and by the others when it has done it: they find its files."""
    if distributed.is_initialized() and not leads():
        distributed.barrier()
    yield
    if distributed.is_initialized() and leads():
        distributed.barrier()


def share(parts: Sequence[Part]) -> Sequence[Part]:
    """This process's part of what is to be done."""
    if not distributed.is_initialized():
        return parts
    return parts[distributed.get_rank() :: distributed.get_world_size()]


def add_up(tensors: Sequence[torch.Tensor]) -> None:
    """Put the sum over all processes in each tensor's place."""
    if distributed.is_initialized():
        for tensor in tensors:
            distributed.all_reduce(tensor)


def agreed(value: float, device: torch.device) -> float:
    """The first process's value, in all of them."""
    if not distributed.is_initialized():
        return value
    told = torch.tensor([value], dtype=torch.float64, device=device)
    distributed.broadcast(told, src=0)
    return told.item()
