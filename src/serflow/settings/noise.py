"""Noise overlay: ESC-50, noise profiles, and how noise is mixed (DLC paper, section III-B)."""

from typing import Literal

from pydantic import Field, field_validator

from serflow.settings.base import CLEAN, SYNTHETIC, Name, Section, SettingError


class Esc50Settings(Section):
    """Where ESC-50 lies."""

    root: str = Field(default=SYNTHETIC, min_length=1)
    allow_partial: bool = False


class ProfileSettings(Section):
    """SNR (dB) of each type of noise in a profile."""

    natural: float
    interior: float
    human: float


class NoiseSettings(Section):
    """Which noise, how loud, and how it is drawn."""

    esc50: Esc50Settings = Esc50Settings()
    mixing: Literal["snr", "authors_gain"] = "snr"
    clips: Literal["shared", "by_fold"] = "shared"
    seed: int = 0
    profiles: dict[Name, ProfileSettings] = Field(
        default={
            "h1": ProfileSettings(natural=-5, interior=-20, human=-20),
            "h2": ProfileSettings(natural=-20, interior=-1, human=-5),
            "h3": ProfileSettings(natural=-5, interior=-30, human=-10),
        }
    )

    @field_validator("profiles")
    @classmethod
    def _clean_is_no_noise(cls, profiles: dict[str, ProfileSettings]) -> dict[str, ProfileSettings]:
        if CLEAN in profiles:
            raise SettingError(CLEAN, "this name is kept for speech without noise; give the profile another")
        return profiles


class Noise(Section):
    """The noise, and the conditions that it makes."""

    noise: NoiseSettings = NoiseSettings()

    def conditions(self) -> list[str]:
        """Return the conditions that a feature is extracted in: clean, and every noise profile."""
        return [CLEAN, *self.noise.profiles]
