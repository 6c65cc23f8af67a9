# Noise as an axis: the trained networks of the DLC paper in every kind of noise at a grid of levels. Nothing is trained for it
# that is not trained for a table, and no table needs it.
from serflow.studies.dlc.asked_in_noise import (
    sweep_facts,
    sweep_options,
    swept_cells,
)

SWEEP = DLC.settings.robustness


def sweep_inputs(wildcards):
    """What the cell was trained on, the networks that it left behind, and what is mixed."""
    cell = DLC.cell(wildcards)
    inputs = {
        name: path
        for name, path in dlc_inputs(DLC, cell).items()
        if not name.startswith("gate")
    }
    inputs["model"] = f"results/runs/dlc/{'/'.join(cell)}/model.safetensors"
    gate = DLC.gate(cell)
    if gate is not None:
        inputs["gate_model"] = f"results/runs/dlc/{'/'.join(gate)}/model.safetensors"
    return {
        **inputs,
        "audio": audio_shards(wildcards),
        "clips": "results/noise/clips.parquet",
    }


def sweep_settings(wildcards):
    """What the cell and, where it is routed, its noise classifier were trained with."""
    trained = sweep_options(DLC, DLC.cell(wildcards))
    return [
        option(name.replace("_", "-"), as_json(options))
        for name, options in trained.items()
        if options is not None
    ]


def sweep_files(wildcards):
    try:
        cells = swept_cells(DLC)
    except ConfigError as error:
        raise WorkflowError(str(error)) from None
    return [f"results/dlc/robustness/{'/'.join(cell)}.parquet" for cell in cells]


rule predict_in_noise:
    """Ask the networks of a cell what they hear in its test utterances, in every kind of noise at every level."""
    input:
        unpack(sweep_inputs),
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
        options=sweep_settings,
        extractor=CONFIG.extractor(DLC.settings.feature),
        parameters=lambda wildcards: as_json(CONFIG.parameters(DLC.settings.feature)),
        rounding=rounding_options,
        levels=SWEEP.snr_db,
        clips=CONFIG.noise.clips,
        seed=option("seed", CONFIG.noise.seed),
        code=lambda wildcards: code(
            "stages.predict_in_noise",
            "studies.dlc.sweep",
            *DLC.modules(DLC.cell(wildcards)),
            *feature_modules(DLC.settings.feature),
        ),
    message:
        "Ask {wildcards.method} of {wildcards.corpus}, trained in profile {wildcards.profile}, at {params.levels} dB"
    shell:
        "python -m serflow.stages.predict_in_noise --study dlc --cell {params.cell} --inputs {params.inputs}"
        " --runs {params.runs} {params.options:q} --extractor {params.extractor}"
        " --parameters {params.parameters:q} {params.rounding} --snr-db {params.levels} --clips {params.clips}"
        " {params.seed} --code {params.code} --predictions {output.predictions} --log {log}"


for figure, drawn in (
    ("robustness", "how scores and predictions change with the level of noise"),
    ("shift", "which emotions are heard as which others in the loudest noise"),
):

    rule:
        name:
            f"plot_dlc_{figure}"
        input:
            predictions=sweep_files,
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
