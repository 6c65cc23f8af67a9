# The DLC paper (Wilf and Mower Provost, 2021): noise classifier and emotion methods in two experiments -> Table I.
from serflow.studies.dlc.catalog import method_names

DLC = STUDIES["dlc"]
DLC_CELL = "dlc/{experiment}/{method}/{corpus}/{profile}"


rule train_dlc:
    """Train and test one method on one corpus in one noise profile: all runs, all held-out conditions."""
    input:
        unpack(lambda wildcards: dlc_inputs(DLC, DLC.cell(wildcards))),
    output:
        **run_files(f"results/runs/{DLC_CELL}"),
    log:
        "results/logs/train_dlc/{experiment}/{method}/{corpus}/{profile}.log",
    benchmark:
        "results/benchmarks/train_dlc/{experiment}/{method}/{corpus}/{profile}.tsv"
    wildcard_constraints:
        method="|".join(name for name in method_names() if name != "noise_classifier"),
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
        options=lambda wildcards: as_json(DLC.options(DLC.cell(wildcards))),
        code=lambda wildcards: train_code(DLC, DLC.cell(wildcards)),
    message:
        "Train {wildcards.method} on {wildcards.corpus} in profile {wildcards.profile}, {wildcards.experiment}, runs {params.runs}"
    shell:
        "python -m serflow.stages.train --study dlc --cell {params.cell} --inputs {params.inputs}"
        " --runs {params.runs} --options {params.options:q} --code {params.code}"
        " --predictions {output.predictions} --history {output.history} --metrics {output.metrics}"
        " --model {output.model} --log {log}"


use rule train_dlc as train_noise_classifier with:
    log:
        "results/logs/train_noise_classifier/{experiment}/{method}/{corpus}/{profile}.log",
    benchmark:
        "results/benchmarks/train_noise_classifier/{experiment}/{method}/{corpus}/{profile}.tsv"
    wildcard_constraints:
        method="noise_classifier",
    message:
        "Train the noise classifier of {wildcards.corpus} in profile {wildcards.profile}, {wildcards.experiment}, runs {params.runs}"


use rule train_dlc as train_dlc_version with:
    input:
        unpack(
            lambda wildcards: dlc_inputs(
                in_version(DLC, wildcards), DLC.cell(wildcards)
            )
        ),
    output:
        **run_files(f"results/versions/{{version}}/{DLC_CELL}"),
    log:
        "results/logs/train_dlc_version/{version}/{experiment}/{method}/{corpus}/{profile}.log",
    benchmark:
        "results/benchmarks/train_dlc_version/{version}/{experiment}/{method}/{corpus}/{profile}.tsv"
    wildcard_constraints:
        version=version_names(DLC),
        method="|".join(method_names()),
        profile=NOISES,
    params:
        **params_of_version(DLC),
    message:
        "Train {wildcards.method} on {wildcards.corpus} in profile {wildcards.profile}, {wildcards.experiment}, version {wildcards.version}"


STAND_INS = [corpus for corpus in DLC.corpora() if CONFIG.is_synthetic(corpus)]

for tables in DLC.tables:
    profiles = DLC.profiles(tables[0])
    # one is a job of train_dlc
    if STAND_INS and profiles[1:]:

        rule:
            name:
                f"train_dlc_batch_{tables[0]}"
            input:
                unpack(
                    lambda wildcards, profiles=profiles: inputs_of_batch(
                        DLC, wildcards, profiles
                    )
                ),
            output:
                **several_run_files(
                    "results/runs/dlc/{{experiment}}/{{method}}/{{corpus}}/{profile}",
                    profile=profiles,
                ),
            log:
                f"results/logs/train_dlc_batch_{tables[0]}/{{experiment}}/{{method}}/{{corpus}}.log",
            benchmark:
                f"results/benchmarks/train_dlc_batch_{tables[0]}/{{experiment}}/{{method}}/{{corpus}}.tsv"
            wildcard_constraints:
                method="|".join(method_names()),
                corpus="|".join(STAND_INS),
            conda:
                "../../envs/serflow.yaml"
            threads: 1
            resources:
                **on_device(DLC.settings.training.device),
                mem_mb=memory(3000),
                runtime=minutes(60),
            params:
                cells=lambda wildcards, profiles=profiles: cells_of_batch(
                    DLC, wildcards, profiles
                ),
                inputs=lambda wildcards, profiles=profiles: named_inputs_of_batch(
                    DLC, wildcards, profiles
                ),
                runs=lambda wildcards: DLC.runs(wildcards.corpus),
                options=lambda wildcards, profiles=profiles: as_json(
                    DLC.options(DLC.batch(wildcards, profiles)[0])
                ),
                code=lambda wildcards, profiles=profiles: train_code(
                    DLC, DLC.batch(wildcards, profiles)[0], "train_batch"
                ),
            message:
                "Train {wildcards.method} on {wildcards.corpus} in all profiles, {wildcards.experiment}, runs {params.runs}"
            shell:
                "python -m serflow.stages.train_batch --study dlc --cells {params.cells:q} --inputs {params.inputs:q}"
                " --runs {params.runs} --options {params.options:q} --code {params.code}"
                " --predictions {output.predictions} --history {output.history} --metrics {output.metrics}"
                " --model {output.model} --log {log}"

        # a stand-in's cells take less time than a process that imports torch: those of all profiles share one
        workflow.ruleorder(
            f"train_dlc_batch_{tables[0]}", "train_dlc", "train_noise_classifier"
        )


rule tabulate_wer:
    """Word and character error rates by corpus, profile, condition and SNR."""
    input:
        transcripts=lambda wildcards: [
            shard
            for corpus in DLC.multimodal_corpora()
            for condition in (CLEAN, *DLC.settings.profiles)
            for shard in transcript_shards(wildcards.recogniser, corpus, condition)
        ],
        plans=expand(
            "results/noise/{corpus}/{profile}.parquet",
            corpus=DLC.multimodal_corpora(),
            profile=DLC.settings.profiles,
        ),
    output:
        table="results/transcripts/{recogniser}/wer.csv",
    log:
        "results/logs/tabulate_wer/{recogniser}.log",
    localrule: True
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(15),
    params:
        code=code_of("stages.tabulate_wer"),
    message:
        "Count the errors of {wildcards.recogniser}"
    shell:
        "python -m serflow.stages.tabulate_wer --transcripts {input.transcripts} --plans {input.plans}"
        " --code {params.code} --table {output.table} --log {log}"


rule plot_dlc_figure4:
    """Figure 4: gains over the baselines, mean and standard deviation over noise profiles."""
    input:
        cells=files_of_cells(DLC, "metrics.json", DLC.figure4_cells()),
    output:
        figure=report(
            "results/dlc/figure4.svg",
            caption="../report/dlc_figure4.rst",
            category="DLC",
            labels={"what": "Figure 4", "beside the paper": "yes"},
        ),
        csv="results/dlc/figure4.csv",
    log:
        "results/logs/plot_dlc_figure4.log",
    localrule: True
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(15),
    params:
        inputs=named_inputs,
        facts=as_is(as_json({"layout": DLC.figure4_layout().to_json()})),
        published=published(DLC),
        code=code_of("stages.plot_figure", "studies.dlc.figure4"),
    message:
        "Draw Figure 4 of the DLC paper"
    shell:
        "python -m serflow.stages.plot_figure --study dlc --figure figure4 --inputs {params.inputs}"
        " --facts {params.facts:q} --code {params.code} --svg {output.figure} --csv {output.csv} --log {log}"


rule make_table1:
    """The headline target: a copy of the DLC paper's Table I, once its comparison and curves are there too."""
    input:
        DLC.beside_table1(),
        table="results/dlc/table1.csv",
    output:
        table="results/table1.csv",
    log:
        "results/logs/make_table1.log",
    localrule: True
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(5),
    message:
        "Write results/table1.csv"
    shell:
        # with the digest that lies beside it
        "cp {input.table} {output.table} 2> {log}"
        " && cp results/dlc/.table1.csv.sha256 results/ 2>> {log}"


use rule train_dlc as pilot_dlc with:
    input:
        unpack(lambda wildcards: dlc_inputs(DLC, DLC.pilot_cell(wildcards.corpus))),
    output:
        **run_files("results/dlc/pilot/{corpus}/{optimizer}"),
    log:
        "results/logs/pilot_dlc/{corpus}/{optimizer}.log",
    benchmark:
        "results/benchmarks/pilot_dlc/{corpus}/{optimizer}.tsv"
    params:
        cell=lambda wildcards: named(DLC.pilot_cell(wildcards.corpus)._asdict()),
        inputs=named_inputs,
        runs=lambda wildcards: DLC.runs(wildcards.corpus),
        options=lambda wildcards: as_json(
            DLC.pilot_options(wildcards.corpus, wildcards.optimizer)
        ),
        code=lambda wildcards: train_code(DLC, DLC.pilot_cell(wildcards.corpus)),
    message:
        "Pilot: train single with {wildcards.optimizer} on {wildcards.corpus}"


rule plot_dlc_pilot:
    """Draw the pilot: training UA by epoch with the paper's optimiser and with Adam."""
    input:
        adadelta="results/dlc/pilot/{corpus}/adadelta/history.parquet",
        adam="results/dlc/pilot/{corpus}/adam/history.parquet",
    output:
        figure="results/dlc/pilot/{corpus}.svg",
        csv="results/dlc/pilot/{corpus}.csv",
    log:
        "results/logs/plot_dlc_pilot/{corpus}.log",
    localrule: True
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(15),
    params:
        inputs=named_inputs,
        facts=lambda wildcards: as_json({"title": CONFIG.title(wildcards.corpus)}),
        code=code_of("stages.plot_figure", "studies.dlc.pilot"),
    message:
        "Draw the pilot on {wildcards.corpus}"
    shell:
        "python -m serflow.stages.plot_figure --study dlc --figure pilot --inputs {params.inputs}"
        " --facts {params.facts:q} --code {params.code} --svg {output.figure} --csv {output.csv} --log {log}"
