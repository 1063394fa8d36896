"""LoRA's linear layer with few and small operations: in the base's precision, with its gradients written out."""

import torch
from peft.tuners import lora
from torch.nn import functional

from finetune.four_bits import dense


class LowRankLinear(lora.Linear):
    """PEFT's own layer with another forward pass: the same weights, names and files."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        (name,) = self.active_adapters
        if self.disable_adapters or self.merged or not isinstance(self.lora_dropout[name], torch.nn.Identity):
            return super().forward(x)
        base = self.get_base_layer()
        down, up = self.lora_A[name].weight, self.lora_B[name].weight
        return _LowRank.apply(x, base.weight, base.bias, down, up, self.scaling[name])


class _LowRank(torch.autograd.Function):
    """x · weightᵀ + bias + scale · x · downᵀ · upᵀ, where down and up alone are learned.

    PEFT multiplies down and up in float32 and casts x for each; here they are rounded to the base's precision for the
    products, and their gradients and updates stay in float32.
    """

    @staticmethod
    def forward(ctx, x, weight, bias, down, up, scale):
        flat = x.flatten(0, -2)
        down, up = down.to(x.dtype), up.to(x.dtype)
        inner = functional.linear(flat, down)
        ctx.save_for_backward(flat, inner, down, up)
        ctx.weight, ctx.scale = weight, scale
        return (
            functional.linear(flat, dense(weight, x.dtype), bias)
            .addmm_(inner, up.t(), alpha=scale)
            .view(*x.shape[:-1], -1)
        )

    @staticmethod
    def backward(ctx, gradient):
        x, inner, down, up = ctx.saved_tensors
        flat = gradient.flatten(0, -2)
        of_inner = (flat @ up).mul_(ctx.scale)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = (flat @ dense(ctx.weight, x.dtype)).addmm_(of_inner, down).view(*gradient.shape[:-1], -1)
        of_up = (flat.t() @ inner).float().mul_(ctx.scale)
        return of_x, None, None, (of_inner.t() @ x).float(), of_up, None
