"""A training loop that can be interrupted: seeded step by step, its state saved now and then, continued with the same result."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from core.errors import LiminalError
from core.progress import Progress
from core.writing import write_bytes

SAVE_SECONDS = 20.0
"""Seconds between two saved states: what a killed run loses at most."""


@dataclass(frozen=True)
class TrainingPlan:
    """Number of steps, batch, rate and averaging. The rate rises over the first 3 % of the steps and falls to zero as a cosine."""

    steps: int
    batch: int
    rate: float
    seed: int
    weight_decay: float = 0.0
    average: float = 0.0  # decay of the exponential moving average of the weights; 0: none is kept

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or not 0 < self.rate < 10 or not 0 <= self.average < 1:
            raise LiminalError(f"Training needs at least one step, one row a step and a rate between 0 and 10, not {self}.")


LossFunction = Callable[[Tensor, torch.Generator], Tensor]
"""Rows (batch,) of the training data and this step's random numbers -> the loss, a scalar."""


def train_network(
    network: nn.Module,
    loss: LossFunction,
    rows: int,
    plan: TrainingPlan,
    *,
    name: str,
    saved: Path | None = None,
    progress: Progress | None = None,
) -> float:
    """Train in place, the moving average last -> seconds spent over all runs.

    saved: where the state is kept; a file of the same plan is continued. Step k draws its rows and its noise from (seed, k)
    alone, so that a run which was killed ends like one which was not. Raises LiminalError when the loss is not finite.
    """
    progress = progress or Progress()
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    adam = torch.optim.AdamW(parameters, lr=plan.rate, weight_decay=plan.weight_decay, betas=(0.9, 0.99))
    averages = [parameter.detach().clone() for parameter in parameters]
    first, spent = _restore_state(saved, plan, parameters, averages, adam)
    began = last = time.monotonic()
    network.train()
    for step in range(first, plan.steps):
        random = torch.Generator().manual_seed((plan.seed << 24) + step)
        for group in adam.param_groups:
            group["lr"] = plan.rate * _rate_factor(step, plan.steps)
        chosen = torch.randint(0, rows, (plan.batch,), generator=random)
        value = loss(chosen, random)
        if not bool(torch.isfinite(value)):
            raise LiminalError(f"Training {name} failed at step {step}: the loss is not finite; lower the rate and start again.")
        adam.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        adam.step()
        if plan.average:
            decay = min(plan.average, (1 + step) / (10 + step))  # a shorter average in the first steps
            torch._foreach_lerp_(averages, [parameter.detach() for parameter in parameters], 1 - decay)
        if step % 50 == 0:
            progress.stage(f"Training {name}: step {step} of {plan.steps}, loss {float(value.detach()):.4f}", step / plan.steps)
        if saved is not None and time.monotonic() - last > SAVE_SECONDS:
            last = time.monotonic()
            _save_state(saved, plan, parameters, averages, adam, step + 1, spent + last - began)
    if plan.average:
        with torch.no_grad():
            for parameter, average in zip(parameters, averages, strict=True):
                parameter.copy_(average)
    network.eval()
    if saved is not None:
        saved.unlink(missing_ok=True)
    return spent + time.monotonic() - began


def _rate_factor(step: int, steps: int) -> float:
    warm = max(1, round(0.03 * steps))
    return min(1.0, (step + 1) / warm) * 0.5 * (1 + math.cos(math.pi * max(0, step - warm) / max(1, steps - warm)))


def _save_state(
    path: Path,
    plan: TrainingPlan,
    parameters: list[nn.Parameter],
    averages: list[Tensor],
    adam: torch.optim.AdamW,
    step: int,
    spent: float,
) -> None:
    tensors = {}
    for index, parameter in enumerate(parameters):
        state = adam.state[parameter]
        tensors[f"{index}.value"] = parameter.detach()
        tensors[f"{index}.average"] = averages[index]
        tensors[f"{index}.first"], tensors[f"{index}.second"] = state["exp_avg"], state["exp_avg_sq"]
    tensors = {key: tensor.cpu().contiguous() for key, tensor in tensors.items()}
    write_bytes(path, save(tensors, {"plan": _describe_plan(plan), "step": str(step), "seconds": str(spent)}))


def _restore_state(
    path: Path | None, plan: TrainingPlan, parameters: list[nn.Parameter], averages: list[Tensor], adam: torch.optim.AdamW
) -> tuple[int, float]:
    """-> the next step and the seconds spent so far."""
    if path is None or not path.is_file():
        return 0, 0.0
    try:
        with safe_open(path, "pt") as file:
            described = file.metadata()
            if described["plan"] != _describe_plan(plan):
                return 0, 0.0  # another plan: begin anew
            step, spent = int(described["step"]), float(described["seconds"])
            with torch.no_grad():
                for index, parameter in enumerate(parameters):
                    parameter.copy_(file.get_tensor(f"{index}.value"))
                    averages[index].copy_(file.get_tensor(f"{index}.average"))
                    adam.state[parameter] = {
                        "step": torch.tensor(float(step)),
                        "exp_avg": file.get_tensor(f"{index}.first").to(parameter.device),
                        "exp_avg_sq": file.get_tensor(f"{index}.second").to(parameter.device),
                    }
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise LiminalError(f"The saved training state {path} is damaged; delete it and start again.") from error
    return step, spent


def _describe_plan(plan: TrainingPlan) -> str:
    """The plan as saved states name it: they are compared with it when a training goes on."""
    return repr(plan).replace("TrainingPlan(", "Plan(", 1)
