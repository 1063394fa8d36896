"""The night's settings, read from the environment and from .env."""

from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import psutil
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from data.export_formats import FORMATS


class FinetuneSettings(BaseSettings):
    """What finetune/ needs to know."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True, frozen=True)

    runs_dir: Path = Path("var/runs")
    """Each run's dataset, adapter, loss log and report stand in a folder here."""
    schedule: str = Field(default="02:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    """When `clock` starts the night, HH:MM."""
    time_zone: str = "UTC"
    """The time zone of the schedule, as in the IANA database: Europe/Berlin."""

    min_pairs: int = Field(default=200, ge=1)
    """A night with fewer training pairs is skipped."""
    min_new_pairs: int = Field(default=50, ge=0)
    """A night with fewer new pairs since the last finished run on this base is skipped."""
    min_held_out_threads: int = Field(default=100, ge=2)
    """A task with fewer scored threads keeps its incumbent: insufficient evidence."""
    team_pairs: int = Field(default=500, ge=1)
    """Where several teams share one Nightshift, a team with so many training pairs is trained an adapter of its own,
    which serves it once it beats the shared one on the team's own held-out threads."""
    night_alpha: float = Field(default=0.003, gt=0, lt=1)
    """Probability of a promotion without a real gain, per night, over all tasks together."""

    canary_share: float = Field(default=1.0, gt=0, le=1)
    """Share of the threads that a promoted adapter drafts on until agents' acceptance has decided; the others stay with
    the one before. At 1 its acceptance is compared with that of the 30 days before."""

    lora_r: int = Field(default=16, ge=1)
    """Rank of the adapter; MAX_LORA_RANK of serving must not be smaller."""
    lora_alpha: int = Field(default=32, ge=1)
    """Scale of the adapter: alpha / r."""
    lora_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout before the adapter's weights: 0.05 takes a fifth of a CPU's time; early stopping does its work."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Peak rate; empty: 5e-3 for a base below 50M parameters, else 2e-4."""
    epochs: int | None = Field(default=None, ge=1)
    """Passes over the pairs; early stopping may end sooner. Empty: 2, and up to 4 for a base below 50M parameters that
    has few pairs."""
    batch_sequences: int = Field(default=16, ge=1)
    """Sequences per update."""
    max_length: int = Field(default=2048, ge=64)
    """Tokens of a pair, prompt and target; the oldest turns of a longer prompt are cut, never the target."""
    tokens_per_pass: int = Field(default=4096, ge=64)
    """Tokens packed into one forward pass: the unit of memory."""
    quantize_base: bool = False
    """QLoRA: train on the base in 4 bits, which takes a quarter of the memory for its weights. Served and judged is the
    whole base, so the gate still needs room for it. Needs bitsandbytes (the extra `qlora`)."""
    max_train_minutes: float = Field(default=120.0, gt=0)
    """The learning rate reaches zero after so long, whatever the number of epochs; each preference stage that follows
    takes a quarter of it at most."""
    replay_share: float = Field(default=0.0, ge=0, le=0.5)
    """Against forgetting: this share of the rows are general prompts with the base's own answers, and the pairs that
    earlier nights were given weigh no less than this share of all pairs. 0: neither."""
    seed: int = 0
    """Order of the pairs and start of the adapter."""
    threads: int = Field(default=0, ge=0)
    """CPU threads of a night; 0: one per physical core."""

    generated_cases: int = Field(default=40, ge=0)
    """Held-out cases per task for which the gate also writes texts."""
    closed_book_cases: int = Field(default=40, ge=0)
    """Facts of the help centre that the gate asks for without their passage, per task; 0: none."""

    export_format: str = "openai-chat"
    """In which format a night on a HOSTED_MODEL writes its pairs: one of `python -m data export`'s for pairs."""

    @field_validator("time_zone")
    @classmethod
    def _known_time_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{value} is no time zone of the IANA database") from error
        return value

    @field_validator("export_format")
    @classmethod
    def _of_pairs(cls, value: str) -> str:
        known = [name for name, form in FORMATS.items() if form.of_pair is not None]
        if value not in known:
            raise ValueError(f"must be one of {', '.join(known)}")
        return value

    @property
    def cpu_threads(self) -> int:
        """Threads to compute with."""
        return self.threads or psutil.cpu_count(logical=False) or 1
