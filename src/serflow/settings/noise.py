"""Noise overlay: ESC-50, noise profiles, and how noise is mixed (DLC paper, section III-B)."""

from typing import Literal

from pydantic import Field, field_validator

from serflow.settings.base import CLEAN, SYNTHETIC, Name, Section, SettingError


class Esc50Settings(Section):
    """Where ESC-50 lies."""

    root: str = Field(default=SYNTHETIC, min_length=1)
    allow_partial: bool = False


Mixing = Literal["snr", "authors_gain"]


class ProfileSettings(Section):
    """SNR (dB) of each type of noise in a profile, and how its level is set (None: as ``noise.mixing`` says)."""

    natural: float
    interior: float
    human: float
    mixing: Mixing | None = None

    def snrs(self) -> dict[str, float]:
        """Return the SNR (dB) of each type of noise."""
        return self.model_dump(exclude={"mixing"})


PROFILES = {
    "h1": {"natural": -5.0, "interior": -20.0, "human": -20.0},
    "h2": {"natural": -20.0, "interior": -1.0, "human": -5.0},
    "h3": {"natural": -5.0, "interior": -30.0, "human": -10.0},
}
"""The paper's profiles."""


class NoiseSettings(Section):
    """Which noise, how loud, and how it is drawn."""

    esc50: Esc50Settings = Esc50Settings()
    mixing: Mixing = "snr"
    clips: Literal["shared", "by_fold"] = "shared"
    seed: int = 0
    profiles: dict[Name, ProfileSettings] = Field(
        default={
            **{name: ProfileSettings.model_validate(snrs) for name, snrs in PROFILES.items()},
            **{
                f"{name}_gain": ProfileSettings.model_validate({**snrs, "mixing": "authors_gain"})
                for name, snrs in PROFILES.items()
            },
        }
    )

    @field_validator("profiles")
    @classmethod
    def _clean_is_no_noise(cls, profiles: dict[str, ProfileSettings]) -> dict[str, ProfileSettings]:
        if CLEAN in profiles:
            raise SettingError(CLEAN, "this name is kept for speech without noise; give the profile another")
        return profiles

    def mixing_of(self, profile: str) -> Mixing:
        """Return how the level of the noise is set in a profile."""
        return self.profiles[profile].mixing or self.mixing


class Noise(Section):
    """The noise, and the conditions that it makes."""

    noise: NoiseSettings = NoiseSettings()

    def conditions(self) -> list[str]:
        """Return the conditions that a feature is extracted in: clean, and every noise profile."""
        return [CLEAN, *self.noise.profiles]

    def conditions_asked_for(self) -> list[str]:
        """Return the conditions that the target ``features`` builds: not of profiles with a mixing of their own."""
        return [CLEAN, *(name for name, profile in self.noise.profiles.items() if profile.mixing is None)]
