"""Settings → the command line and environment of vLLM. Pure."""

import sys
from collections.abc import Mapping
from urllib.parse import urlsplit

from data.errors import BadSetting
from data.models import BASE, Base
from serving.settings import ServingSettings

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def address(settings: ServingSettings) -> tuple[str, int]:
    """Host and port to listen on. Raises BadSetting for an address that is not this machine's loopback."""
    parts = urlsplit(settings.llm_base_url)
    if parts.scheme != "http" or parts.hostname not in LOOPBACK or parts.path != "/v1":
        raise BadSetting(
            f"`python -m serving up` cannot listen at LLM_BASE_URL {settings.llm_base_url}: it serves loopback only, "
            "such as http://127.0.0.1:8100/v1; let other machines in through a proxy."
        )
    return str(parts.hostname), parts.port or 80


def vllm_argv(settings: ServingSettings, base: Base, *, gpu: bool) -> list[str]:
    """The command that starts vLLM with LoRA on, the base under the name `base`."""
    host, port = address(settings)
    argv = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    # The root, not the hub's id: adapters name this very string as their base.
    argv += ["--model", base.root, "--served-model-name", BASE, "--host", host, "--port", str(port)]
    argv += ["--dtype", dtype(settings, gpu=gpu)]
    # auto: the model's own length, or what fits the KV cache when that is less.
    argv += ["--max-model-len", str(settings.max_model_len or "auto")]
    argv += ["--enable-lora", "--max-lora-rank", str(settings.max_lora_rank)]
    argv += ["--max-loras", str(settings.max_loras), "--max-cpu-loras", str(settings.max_cpu_loras)]
    argv += ["--disable-uvicorn-access-log", "--uvicorn-log-level", "warning"]
    if not gpu:
        # With LoRA vLLM compiles nothing on a CPU. One process less (uni) starts 13 s sooner and takes 0.7 GiB less.
        argv += ["--enforce-eager", "--distributed-executor-backend", "uni"]
    return argv


def vllm_env(
    settings: ServingSettings, environment: Mapping[str, str], *, gpu: bool, processors: int
) -> dict[str, str]:
    """vLLM's environment: what `environment` holds, with the resolver on."""
    wanted = {
        "VLLM_PLUGINS": "lora_filesystem_resolver",
        "VLLM_LORA_RESOLVER_CACHE_DIR": str(settings.adapter_store.resolve()),
        # Without it the resolver is not asked.
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
        "VLLM_NO_USAGE_STATS": "1",
        # Not on the command line, where every user of the machine could read it.
        "VLLM_API_KEY": settings.llm_api_key,
        # Everything is on this machine by now; vLLM need not ask a hub.
        "HF_HUB_OFFLINE": "1",
    }
    chosen = {"VLLM_LOGGING_LEVEL": "ERROR", "PYTHONWARNINGS": "ignore"}
    if not gpu:
        wanted |= {
            # serving/vllm_plugin.py: else the base beside adapters is served with one of them.
            "VLLM_PLUGINS": "lora_filesystem_resolver,nightshift",
            "VLLM_CPU_KVCACHE_SPACE": str(settings.cpu_kvcache_gib),
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            # vLLM keeps to `uni` on a CPU only with this.
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        }
        # Threads that spin while they wait starve each other next to a training: 27 s became 2.3 s with passive ones.
        chosen |= {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": str(processors)}
    return chosen | dict(environment) | wanted


def dtype(settings: ServingSettings, *, gpu: bool) -> str:
    """What vLLM computes in."""
    if settings.dtype != "auto":
        return settings.dtype
    return "bfloat16" if gpu else "float32"
