"""A plugin that vLLM loads on a CPU: what the base is asked beside adapters is answered by the base.

vLLM 0.32 marks a token without an adapter by -1, which its operations for a CPU take for the last adapter in memory, in
silence (vllm-project/vllm#48421, open in July 2026). To go when a release has mended that: tests/test_parity.py tells.
"""

import torch


def register() -> None:
    """Leave nothing of any adapter in the rows of such tokens. vLLM may call this more than once."""
    from vllm.lora.ops.torch_ops import lora_ops
    from vllm.lora.punica_wrapper import punica_cpu

    shrink = lora_ops.bgmv_shrink
    if shrink.__module__ == __name__:
        return

    def bgmv_shrink(
        inputs: torch.Tensor,
        weights: torch.Tensor,
        output: torch.Tensor,
        indices: torch.Tensor,
        scaling: float = 1.0,
    ) -> None:
        """Inputs (tokens, width) times each token's adapter's first matrix, into `output` (tokens, rank)."""
        shrink(inputs, weights, output, indices, scaling)
        # The second matrix makes nothing of nothing.
        output[indices < 0] = 0

    # Where it is called by name, and by the operations on prompts.
    lora_ops.bgmv_shrink = punica_cpu.bgmv_shrink = bgmv_shrink
