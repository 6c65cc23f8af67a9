# Noise as an axis: the trained networks of the DLC paper in every kind of noise at a grid of levels. No table needs it, and
# nothing is trained for it but what a table has or `dlc.robustness` names.
from serflow.studies.dlc.asked_in_noise import sweep_facts

SWEEP = DLC.settings.robustness


rule predict_in_noise:
    """Ask the networks of a cell what they hear in its test utterances, in every kind of noise at every level."""
    input:
        unpack(lambda wildcards: sweep_inputs(DLC, DLC.cell(wildcards))),
    output:
        predictions=f"results/dlc/robustness/{DLC_CELL.removeprefix('dlc/')}.parquet",
    log:
        "results/logs/predict_in_noise/{experiment}/{method}/{corpus}/{profile}.log",
    benchmark:
        "results/benchmarks/predict_in_noise/{experiment}/{method}/{corpus}/{profile}.tsv"
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        **on_device(DLC.settings.training.device),
        mem_mb=memory(3000),
        runtime=minutes(240),
    params:
        cell=named_wildcards,
        inputs=named_inputs,
        runs=lambda wildcards: DLC.runs(wildcards.corpus),
        options=lambda wildcards: sweep_settings(DLC, DLC.cell(wildcards)),
        extractor=CONFIG.extractor(DLC.settings.feature),
        parameters=lambda wildcards: as_json(CONFIG.parameters(DLC.settings.feature)),
        rounding=rounding_options,
        levels=SWEEP.snr_db,
        clips=option("clips", CONFIG.noise.clips),
        seed=option("seed", CONFIG.noise.seed),
        code=lambda wildcards: code(
            "stages.predict_in_noise",
            "studies.dlc.sweep",
            *swept_modules(DLC, DLC.cell(wildcards)),
            *feature_modules(DLC.settings.feature),
        ),
    message:
        "Ask {wildcards.method} of {wildcards.corpus}, trained in profile {wildcards.profile}, at {params.levels} dB"
    shell:
        "python -m serflow.stages.predict_in_noise --study dlc --cell {params.cell} --inputs {params.inputs}"
        " --runs {params.runs} {params.options:q} --extractor {params.extractor}"
        " --parameters {params.parameters:q} {params.rounding} --snr-db {params.levels} {params.clips}"
        " {params.seed} --code {params.code} --predictions {output.predictions} --log {log}"


for figure, drawn in (
    ("robustness", "how scores and predictions change with the level of noise"),
    ("shift", "which emotions are heard as which others in the loudest noise"),
):

    rule:
        name:
            f"plot_dlc_{figure}"
        input:
            predictions=lambda wildcards: sweep_files(DLC),
            utterances=utterance_tables(DLC.corpora()),
        output:
            figure=f"results/dlc/{figure}.svg",
            csv=f"results/dlc/{figure}.csv",
        log:
            f"results/logs/plot_dlc_{figure}.log",
        localrule: True
        conda:
            "../../envs/serflow.yaml"
        threads: 1
        resources:
            mem_mb=memory(1000),
            runtime=minutes(15),
        params:
            inputs=named_inputs,
            facts=lambda wildcards: as_json(sweep_facts(DLC)),
            figure=figure,
            code=code_of("stages.plot_figure", f"studies.dlc.{figure}"),
        message:
            f"Draw {drawn}"
        shell:
            "python -m serflow.stages.plot_figure --study dlc --figure {params.figure} --inputs {params.inputs}"
            " --facts {params.facts:q} --code {params.code} --svg {output.figure} --csv {output.csv} --log {log}"
