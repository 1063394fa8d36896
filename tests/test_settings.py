""".env.example is the one place where a person looks settings up: it lists every one, with its real default."""

import re
from pathlib import Path

import pytest

from bot.settings import BotSettings
from data import cli
from data.errors import BadSetting
from data.settings import DataSettings
from finetune.settings import FinetuneSettings
from serving.settings import STARTER, ServingSettings

ROOT = Path(__file__).parent.parent
CLASSES = (DataSettings, ServingSettings, BotSettings, FinetuneSettings)


def example() -> dict[str, str]:
    return dict(re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))


def test_the_example_lists_every_setting_and_no_other():
    assert set(example()) == {name.upper() for settings in CLASSES for name in settings.model_fields}


@pytest.mark.parametrize("settings", CLASSES, ids=lambda c: c.__name__)
def test_every_value_in_the_example_is_the_default(settings, monkeypatch):
    for name in settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    assert settings(_env_file=ROOT / ".env.example") == settings(_env_file=None)


@pytest.mark.parametrize("url", ["nonsense", "http://127.0.0.1:99999/v1", "http://127.0.0.1:0/v1", "http://[::1/v1"])
def test_an_address_that_nobody_can_listen_at_is_one_sentence(monkeypatch, url):
    monkeypatch.setenv("LLM_BASE_URL", url)
    with pytest.raises(BadSetting, match=r"^LLM_BASE_URL cannot be used: (?!Value error)"):
        cli.load_settings(ServingSettings)


def test_an_empty_base_model_is_the_starter():
    assert example()["BASE_MODEL"] == "" and ServingSettings(_env_file=None).base_model == str(STARTER)
