"""Serving's settings, read from the environment and from .env."""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

STARTER = Path(__file__).parent / "starter"
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)


class ServingSettings(BaseSettings):
    """What serving/ needs to know."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True, frozen=True)

    base_model: str = str(STARTER)
    """A Hugging Face id or a directory: any Llama, Mistral, Qwen or Gemma chat model that vLLM serves."""
    adapter_store: Path = Path("var/adapters")
    """The directory that vLLM pulls adapters from, one sub-directory per name."""
    hosted_model: str = ""
    """A model's name at somebody else's OpenAI-compatible endpoint, LLM_BASE_URL. It serves in place of BASE_MODEL, and
    a night then ends in a file for its fine-tuning. Empty: vLLM serves BASE_MODEL."""
    llm_base_url: str = "http://127.0.0.1:8100/v1"
    """Where the model is asked, and, for `python -m serving up`, where vLLM listens."""
    llm_api_key: str = ""
    """Guards vLLM's paths under /v1, or is the endpoint's. Empty: no key."""
    max_lora_rank: int = 32
    """The highest rank that an adapter may have: one of 1, 8, 16, 32, 64, 128, 256, 320, 512."""
    max_loras: int = Field(default=2, ge=2)
    """How many adapters one batch may mix."""
    max_cpu_loras: int = Field(default=8, ge=4)
    """How many adapters stay in memory; others are read again from their directory when asked for."""
    max_model_len: int = Field(default=0, ge=0)
    """The context in tokens. 0: the model's own, or as much of it as the KV cache can hold; 8192 for a hosted one."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """auto: float32 on a CPU, so that what is served is what the gate scored; bfloat16 on a GPU."""
    cpu_kvcache_gib: int = Field(default=1, ge=1)
    """Memory for the KV cache on a CPU, in GiB."""
    start_timeout: float = Field(default=300, gt=0)
    """Seconds that vLLM may take until its first completion."""

    @field_validator("max_lora_rank")
    @classmethod
    def _is_a_rank(cls, value: int) -> int:
        if value not in LORA_RANKS:
            raise ValueError(f"must be one of {', '.join(map(str, LORA_RANKS))}")
        return value

    @field_validator("llm_base_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        parts = urlsplit(value)
        # A port beyond 65535 is urlsplit's own ValueError.
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError("must be an address such as http://127.0.0.1:8100/v1")
        if parts.username or parts.password or parts.query:
            # It stands in logs and in sentences that agents read.
            raise ValueError("must hold no user, password or query: a key belongs into LLM_API_KEY")
        return value.rstrip("/")

    @property
    def base_name(self) -> str:
        """Under which the store knows the base."""
        if not self.hosted_model:
            return self.base_model
        return f"{self.hosted_model} at {urlsplit(self.llm_base_url).netloc}"
