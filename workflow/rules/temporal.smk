# The temporal-context paper (Xia et al., 2021): engineered features and wav2vec -> Tables 1 to 3 and Figure 2.
from serflow.studies.temporal.catalog import SYSTEMS

TEMPORAL = STUDIES["temporal"]


rule train_temporal:
    """Train and test one row on one corpus: all runs, all folds."""
    input:
        unpack(lambda wildcards: cell_pulses(TEMPORAL, wildcards)),
        unpack(lambda wildcards: cell_wav2vec(TEMPORAL, wildcards)),
        utterances="results/corpora/{corpus}/utterances.parquet",
        splits=lambda wildcards: split_files(TEMPORAL, wildcards.corpus),
        audio="results/packed/audio/{corpus}.parquet",
        audio_array="results/packed/audio/{corpus}.npy",
    output:
        **run_files("results/runs/temporal/{system}/{corpus}/{variant}"),
    log:
        "results/logs/train_temporal/{system}/{corpus}/{variant}.log",
    benchmark:
        "results/benchmarks/train_temporal/{system}/{corpus}/{variant}.tsv"
    wildcard_constraints:
        system="|".join(SYSTEMS),
        variant=r"[a-z0-9-]+",
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        **on_device(TEMPORAL.settings.training.device),
        mem_mb=memory(lambda wildcards: TEMPORAL.memory_mb(TEMPORAL.cell(wildcards))),
        runtime=minutes(lambda wildcards: TEMPORAL.minutes(TEMPORAL.cell(wildcards))),
    params:
        cell=named_wildcards,
        inputs=named_inputs,
        runs=lambda wildcards: TEMPORAL.runs(wildcards.corpus),
        options=lambda wildcards: as_json(TEMPORAL.options(TEMPORAL.cell(wildcards))),
        code=lambda wildcards: train_code(TEMPORAL, TEMPORAL.cell(wildcards)),
    message:
        "Train {wildcards.system} on {wildcards.corpus}, {wildcards.variant}, runs {params.runs}"
    shell:
        "python -m serflow.stages.train --study temporal --cell {params.cell} --inputs {params.inputs}"
        " --runs {params.runs} --options {params.options:q} --code {params.code}"
        " --predictions {output.predictions} --history {output.history} --metrics {output.metrics}"
        " --model {output.model} --log {log}"


use rule train_temporal as train_temporal_version with:
    input:
        unpack(lambda wildcards: cell_pulses(TEMPORAL, wildcards)),
        unpack(lambda wildcards: cell_wav2vec(TEMPORAL, wildcards)),
        utterances="results/corpora/{corpus}/utterances.parquet",
        splits=lambda wildcards: split_files(
            in_version(TEMPORAL, wildcards), wildcards.corpus
        ),
        audio="results/packed/audio/{corpus}.parquet",
        audio_array="results/packed/audio/{corpus}.npy",
    output:
        **run_files("results/versions/{version}/temporal/{system}/{corpus}/{variant}"),
    log:
        "results/logs/train_temporal_version/{version}/{system}/{corpus}/{variant}.log",
    benchmark:
        "results/benchmarks/train_temporal_version/{version}/{system}/{corpus}/{variant}.tsv"
    wildcard_constraints:
        version=version_names(TEMPORAL),
        system="|".join(SYSTEMS),
        variant=r"[a-z0-9-]+",
    params:
        **params_of_version(TEMPORAL),
    message:
        "Train {wildcards.system} on {wildcards.corpus}, {wildcards.variant}, version {wildcards.version}"


rule describe_temporal_networks:
    """The context spans of Table 1, computed from the trained networks."""
    input:
        predictions=files_of_cells(
            TEMPORAL, "predictions.parquet", TEMPORAL.described()
        ),
        models=files_of_cells(TEMPORAL, "model.safetensors", TEMPORAL.described()),
        weights=["resources/weights/wav2vec.json"],
    output:
        csv="results/temporal/context.csv",
        comparison="results/temporal/context_vs_paper.csv",
    log:
        "results/logs/describe_temporal_networks.log",
    localrule: True
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(15),
    params:
        inputs=named_inputs,
        published=published(TEMPORAL),
        code=code_of("stages.tabulate_words", *TEMPORAL.described_by()),
    message:
        "Compute the context spans of the temporal-context paper's networks"
    shell:
        "python -m serflow.stages.tabulate_words --study temporal --module networks --table context --inputs {params.inputs}"
        " --facts {{}} --code {params.code} --csv {output.csv} --comparison {output.comparison} --log {log}"


rule plot_temporal_figure2:
    """Figure 2: UA and WA against the number of segment classifiers."""
    input:
        cells=cell_files(TEMPORAL, "metrics.json", "segments"),
    output:
        figure=report(
            "results/temporal/figure2.svg",
            caption="../report/temporal_figure2.rst",
            category=TEMPORAL.title,
            labels={"what": "Figure 2", "beside the paper": "no"},
        ),
        csv="results/temporal/figure2.csv",
    log:
        "results/logs/plot_temporal_figure2.log",
    localrule: True
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(15),
    params:
        inputs=named_inputs,
        facts=as_is(
            as_json(
                {
                    "layout": TEMPORAL.layout("segments").to_json(),
                    "title": CONFIG.title(TEMPORAL.settings.corpus),
                }
            )
        ),
        code=code_of("stages.plot_figure", "studies.temporal.figure2"),
    message:
        "Draw Figure 2 of the temporal-context paper"
    shell:
        "python -m serflow.stages.plot_figure --study temporal --figure figure2 --inputs {params.inputs}"
        " --facts {params.facts:q} --code {params.code} --svg {output.figure} --csv {output.csv} --log {log}"


if TEMPORAL.pictured():

    rule plot_temporal_receptive_fields:
        """The receptive fields that a row with STRFs has learned."""
        input:
            predictions=files_of_cells(
                TEMPORAL, "predictions.parquet", TEMPORAL.pictured()
            ),
            model=files_of_cells(TEMPORAL, "model.safetensors", TEMPORAL.pictured()),
        output:
            figure=report(
                "results/temporal/receptive_fields.svg",
                caption="../report/temporal_receptive_fields.rst",
                category=TEMPORAL.title,
                labels={"what": "Receptive fields", "beside the paper": "no"},
            ),
            csv="results/temporal/receptive_fields.csv",
        log:
            "results/logs/plot_temporal_receptive_fields.log",
        localrule: True
        conda:
            "../../envs/serflow.yaml"
        threads: 1
        resources:
            mem_mb=memory(1000),
            runtime=minutes(15),
        params:
            inputs=named_inputs,
            facts=as_is(as_json({"titles": titles(TEMPORAL)})),
            code=code_of("stages.plot_figure", "studies.temporal.receptive_fields"),
        message:
            "Draw the receptive fields of the temporal-context paper"
        shell:
            "python -m serflow.stages.plot_figure --study temporal --figure receptive_fields --inputs {params.inputs}"
            " --facts {params.facts:q} --code {params.code} --svg {output.figure} --csv {output.csv} --log {log}"


rule temporal:
    """All tables and figures of the temporal-context paper."""
    input:
        TEMPORAL.targets(),
