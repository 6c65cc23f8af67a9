"""The profile that Snakemake loads by itself: what of it hangs on the command line and on what is installed."""

import io
from pathlib import Path

import pytest
import yte
from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry

PROFILE = Path(__file__).resolve().parents[3] / "profiles/default/config.yaml"


@pytest.fixture
def profile(monkeypatch):
    def read(*arguments: str, installed: bool = True) -> dict:
        monkeypatch.setattr("sys.path", ["here"])
        monkeypatch.setattr("sys.argv", ["snakemake", *arguments])
        monkeypatch.setattr(LoggerPluginRegistry, "is_installed", lambda self, name: installed and name == "serflow")
        return yte.process_yaml(io.StringIO(PROFILE.read_text(encoding="utf-8")), require_use_yte=True)

    return read


@pytest.mark.parametrize("arguments", [["-n"], ["x", "--dry-run"], ["--dryrun"], ["-np"], ["-Fn", "x"]])
def test_a_dry_run_says_why(profile, arguments):
    assert profile(*arguments)["quiet"] == ["host"]


@pytest.mark.parametrize("arguments", [[], ["x", "--cores", "1"], ["--config", "n=1"], ["--unlock"], ["-p", "-k"]])
def test_a_run_does_not(profile, arguments):
    assert profile(*arguments)["quiet"] == ["reason", "host"]


def test_the_logger_is_asked_for_where_snakemake_finds_it(profile):
    assert profile()["logger"] == ["serflow"]
    assert "logger" not in profile(installed=False)
