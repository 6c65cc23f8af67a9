# The speaker-invariance paper (Tu et al., 2019): four systems on two corpora -> Tables 1 to 3 and Figure 2.
from serflow.studies.invariance.catalog import system_names

INVARIANCE = STUDIES["invariance"]


rule train_invariance:
    """Train and test one system on one corpus: all runs, all folds."""
    input:
        unpack(
            lambda wildcards: packed_store(
                "mfcc", "mfcc_kaldi", wildcards.corpus, CLEAN
            )
        ),
        unpack(
            lambda wildcards: packed_store(
                "vad", "energy_vad", wildcards.corpus, CLEAN
            )
        ),
        utterances="results/corpora/{corpus}/utterances.parquet",
        splits=lambda wildcards: cell_splits(INVARIANCE, wildcards),
    output:
        **run_files(
            "results/runs/invariance/{system}/{corpus}/{variant}", "embeddings.parquet"
        ),
    log:
        "results/logs/train_invariance/{system}/{corpus}/{variant}.log",
    benchmark:
        "results/benchmarks/train_invariance/{system}/{corpus}/{variant}.tsv"
    wildcard_constraints:
        system="|".join(system_names()),
        variant=r"[a-z0-9.-]+",
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        **on_device(INVARIANCE.settings.training.device),
        mem_mb=memory(3000),
        runtime=minutes(
            lambda wildcards: INVARIANCE.minutes(INVARIANCE.cell(wildcards))
        ),
    params:
        cell=named_wildcards,
        inputs=named_inputs,
        runs=lambda wildcards: INVARIANCE.runs_of(INVARIANCE.cell(wildcards)),
        options=lambda wildcards: as_json(
            INVARIANCE.options(INVARIANCE.cell(wildcards))
        ),
        code=lambda wildcards: train_code(INVARIANCE, INVARIANCE.cell(wildcards)),
    message:
        "Train {wildcards.system} on {wildcards.corpus}, {wildcards.variant}, runs {params.runs}"
    shell:
        "python -m serflow.stages.train --study invariance --cell {params.cell} --inputs {params.inputs}"
        " --runs {params.runs} --options {params.options:q} --code {params.code}"
        " --predictions {output.predictions} --history {output.history} --metrics {output.metrics}"
        " --model {output.model} --embeddings {output.embeddings} --log {log}"


use rule train_invariance as train_invariance_version with:
    input:
        unpack(
            lambda wildcards: packed_store(
                "mfcc", "mfcc_kaldi", wildcards.corpus, CLEAN
            )
        ),
        unpack(
            lambda wildcards: packed_store(
                "vad", "energy_vad", wildcards.corpus, CLEAN
            )
        ),
        utterances="results/corpora/{corpus}/utterances.parquet",
        splits=lambda wildcards: cell_splits(
            in_version(INVARIANCE, wildcards), wildcards
        ),
    output:
        **run_files(
            "results/versions/{version}/invariance/{system}/{corpus}/{variant}",
            "embeddings.parquet",
        ),
    log:
        "results/logs/train_invariance_version/{version}/{system}/{corpus}/{variant}.log",
    benchmark:
        "results/benchmarks/train_invariance_version/{version}/{system}/{corpus}/{variant}.tsv"
    wildcard_constraints:
        version=version_names(INVARIANCE),
        system="|".join(system_names()),
        variant=r"[a-z0-9.-]+",
    params:
        **params_of_version(INVARIANCE),
    message:
        "Train {wildcards.system} on {wildcards.corpus}, {wildcards.variant}, version {wildcards.version}"


rule describe_invariance_networks:
    """Table 1: what the networks are built of, read off the trained ones."""
    input:
        predictions=files_of_cells(
            INVARIANCE, "predictions.parquet", INVARIANCE.described()
        ),
        models=files_of_cells(INVARIANCE, "model.safetensors", INVARIANCE.described()),
    output:
        csv="results/invariance/table1.csv",
        comparison="results/invariance/table1_vs_paper.csv",
    log:
        "results/logs/describe_invariance_networks.log",
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
                    "titles": titles(INVARIANCE),
                    "printed": {
                        CONFIG.title(corpus): CONFIG.printed_title(corpus)
                        for corpus in INVARIANCE.corpora()
                    },
                }
            )
        ),
        published=published(INVARIANCE),
        code=code_of("stages.tabulate_words", "studies.invariance.networks"),
    message:
        "Describe the networks of the speaker-invariance paper"
    shell:
        "python -m serflow.stages.tabulate_words --study invariance --module networks --table table1 --inputs {params.inputs}"
        " --facts {params.facts:q} --code {params.code} --csv {output.csv} --comparison {output.comparison}"
        " --log {log}"


rule plot_invariance_figure2:
    """Figure 2: embeddings of validation speakers, by emotion and by speaker."""
    input:
        embeddings=files_of_cells(
            INVARIANCE, "embeddings.parquet", INVARIANCE.pictured()
        ),
        predictions=files_of_cells(
            INVARIANCE, "predictions.parquet", INVARIANCE.pictured()
        ),
    output:
        figure=report(
            "results/invariance/figure2.svg",
            caption="../report/invariance_figure2.rst",
            category=INVARIANCE.title,
            labels={"what": "Figure 2", "beside the paper": "no"},
        ),
        csv="results/invariance/figure2.csv",
    log:
        "results/logs/plot_invariance_figure2.log",
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
                {"titles": titles(INVARIANCE), "system": INVARIANCE.pictured_title()}
            )
        ),
        code=code_of("stages.plot_figure", "studies.invariance.figure2"),
    message:
        "Draw Figure 2 of the speaker-invariance paper"
    shell:
        "python -m serflow.stages.plot_figure --study invariance --figure figure2 --inputs {params.inputs}"
        " --facts {params.facts:q} --code {params.code} --svg {output.figure} --csv {output.csv} --log {log}"


rule plot_invariance_speakers:
    """Accuracy against the number of speakers of training."""
    input:
        cells=cell_files(INVARIANCE, "metrics.json", "speakers"),
    output:
        figure=report(
            "results/invariance/speakers.svg",
            caption="../report/invariance_speakers.rst",
            category=INVARIANCE.title,
            labels={"what": "Speakers of training", "beside the paper": "no"},
        ),
        csv="results/invariance/speakers_figure.csv",
    log:
        "results/logs/plot_invariance_speakers.log",
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
                    "layout": INVARIANCE.layout("speakers").to_json(),
                    "title": CONFIG.title(INVARIANCE.many.corpus),
                }
            )
        ),
        code=code_of("stages.plot_figure", "studies.invariance.speakers"),
    message:
        "Draw accuracy by speakers of training of the speaker-invariance paper"
    shell:
        "python -m serflow.stages.plot_figure --study invariance --figure speakers --inputs {params.inputs}"
        " --facts {params.facts:q} --code {params.code} --svg {output.figure} --csv {output.csv} --log {log}"


rule invariance:
    """All tables and figures of the speaker-invariance paper, but for the search."""
    input:
        INVARIANCE.targets(),
