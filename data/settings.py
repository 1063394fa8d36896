"""The store's settings, read from the environment and from .env."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from data.embedding import DEFAULT_MODEL
from data.errors import BadSetting


class DataSettings(BaseSettings):
    """What data/ needs to know."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True, frozen=True)

    database_path: Path = Path("var/nightshift.db")
    """The SQLite file that holds everything."""
    embedding_model: str = DEFAULT_MODEL
    """What makes vectors for search: a folder with a sentence-transformers model, or an installed package with one."""
    runs_dir: Path = Path("var/runs")
    """Where nights leave their datasets and reports, which hold texts."""
    adapter_store: Path = Path("var/adapters")
    """Where published adapters lie, each with one known completion."""
    retain_days: int = Field(default=90, ge=1)
    """Texts of suggestions, decisions and imported history are blanked after so many days."""


def make_folder(folder: Path, *, named_by: str) -> None:
    """Make a folder where it is missing; raises BadSetting with the setting or argument that named it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadSetting(
            f"The folder {folder}, which {named_by} names, cannot be made ({error.strerror}): name another one."
        ) from error
