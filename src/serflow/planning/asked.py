"""What was asked for: a target with a configuration, as Snakemake takes both."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from serflow.config import read_configs
from serflow.errors import ConfigError
from serflow.planning.costs import Cost, Key, known_costs
from serflow.planning.dry_run import Plan, dry_run
from serflow.planning.work import Works


class Asked(NamedTuple):
    """A target and where it comes from: see Snakemake's options of the same names."""

    target: str
    directory: Path
    snakefile: Path
    configfiles: Sequence[Path]
    settings: Sequence[str]

    def plan(self, *options: str) -> Plan:
        """Return what Snakemake would do.

        Raises
        ------
        ConfigError
            If there is no Snakefile.
        """
        if not self.snakefile.is_file():
            raise ConfigError(f"{self.snakefile}: no such file; go to serflow's folder, or give --snakefile")
        arguments = ["--snakefile", str(self.snakefile), *options]
        if self.configfiles:
            arguments += ["--configfile", *map(str, self.configfiles)]
        if self.settings:
            arguments += ["--config", *self.settings]
        return dry_run(self.target, self.directory, arguments)

    def works_and_costs(self) -> tuple[Works, Mapping[Key, Cost]]:
        """Return what tells how much jobs do, and what that costs."""
        files = [self.snakefile.with_name("config.yaml"), *self.configfiles]
        config, _ = read_configs(files, self.settings)
        costs, hours = known_costs(self.directory, config)
        return Works(config, hours), costs
