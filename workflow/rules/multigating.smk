# The multilingual paper (Wang et al., 2022): one language, and five ways to share -> Tables 1 to 4, Figures 3 and 4.
MULTIGATING = STUDIES["multigating"]


rule train_multigating_joint:
    """Train and test one system on all languages at once: all runs, all folds."""
    input:
        unpack(lambda wildcards: cell_stores(MULTIGATING, wildcards)),
        utterances=lambda wildcards: utterance_tables(
            MULTIGATING.corpora_of(MULTIGATING.cell(wildcards))
        ),
        splits=lambda wildcards: MULTIGATING.split_files(MULTIGATING.cell(wildcards)),
    output:
        **several_run_files(
            "results/runs/multigating/{{system}}/{corpus}/{{variant}}",
            corpus=MULTIGATING.joint_corpora(),
        ),
    log:
        "results/logs/train_multigating_joint/{system}/{variant}.log",
    benchmark:
        "results/benchmarks/train_multigating_joint/{system}/{variant}.tsv"
    wildcard_constraints:
        system="|".join(MULTIGATING.systems("all")),
        variant=r"[a-z0-9._-]+",
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        **on_device(MULTIGATING.settings.training.device),
        mem_mb=memory(6000),
        runtime=minutes(1440),
    params:
        cell=lambda wildcards: named(MULTIGATING.cell(wildcards)._asdict()),
        inputs=named_inputs,
        corpora=lambda wildcards: MULTIGATING.corpora_of(MULTIGATING.cell(wildcards)),
        runs=MULTIGATING.runs(MULTIGATING.corpora()[0]),
        options=lambda wildcards: as_json(
            MULTIGATING.options(MULTIGATING.cell(wildcards))
        ),
        code=lambda wildcards: train_code(
            MULTIGATING, MULTIGATING.cell(wildcards), "train_joint"
        ),
    message:
        "Train {wildcards.system} on {params.corpora}, {wildcards.variant}, runs {params.runs}"
    shell:
        "python -m serflow.stages.train_joint --study multigating --cell {params.cell} --inputs {params.inputs}"
        " --corpora {params.corpora} --runs {params.runs} --options {params.options:q} --code {params.code}"
        " --predictions {output.predictions} --history {output.history} --metrics {output.metrics}"
        " --model {output.model} --log {log}"


rule train_multigating:
    """Train and test one system on one language: all runs, all folds."""
    input:
        unpack(lambda wildcards: cell_stores(MULTIGATING, wildcards)),
        utterances=lambda wildcards: utterance_tables(
            MULTIGATING.corpora_of(MULTIGATING.cell(wildcards))
        ),
        splits=lambda wildcards: MULTIGATING.split_files(MULTIGATING.cell(wildcards)),
    output:
        **run_files(
            "results/runs/multigating/{system}/{corpus}/{variant}",
            "embeddings.parquet",
        ),
    log:
        "results/logs/train_multigating/{system}/{corpus}/{variant}.log",
    benchmark:
        "results/benchmarks/train_multigating/{system}/{corpus}/{variant}.tsv"
    wildcard_constraints:
        system="|".join(MULTIGATING.systems("one")),
        corpus="|".join(MULTIGATING.corpora()),
        variant=r"[a-z0-9._-]+",
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        **on_device(MULTIGATING.settings.training.device),
        mem_mb=memory(6000),
        runtime=minutes(1440),
    params:
        cell=lambda wildcards: named(MULTIGATING.cell(wildcards)._asdict()),
        inputs=named_inputs,
        corpora=lambda wildcards: MULTIGATING.corpora_of(MULTIGATING.cell(wildcards)),
        runs=MULTIGATING.runs(MULTIGATING.corpora()[0]),
        options=lambda wildcards: as_json(
            MULTIGATING.options(MULTIGATING.cell(wildcards))
        ),
        code=lambda wildcards: train_code(
            MULTIGATING, MULTIGATING.cell(wildcards), "train_joint"
        ),
    message:
        "Train {wildcards.system} on {params.corpora}, {wildcards.variant}, runs {params.runs}"
    shell:
        "python -m serflow.stages.train_joint --study multigating --cell {params.cell} --inputs {params.inputs}"
        " --corpora {params.corpora} --runs {params.runs} --options {params.options:q} --code {params.code}"
        " --predictions {output.predictions} --history {output.history} --metrics {output.metrics}"
        " --model {output.model} --embeddings {output.embeddings} --log {log}"


use rule train_multigating_joint as train_multigating_joint_version with:
    input:
        unpack(lambda wildcards: cell_stores(MULTIGATING, wildcards)),
        utterances=lambda wildcards: utterance_tables(
            MULTIGATING.corpora_of(MULTIGATING.cell(wildcards))
        ),
        splits=lambda wildcards: in_version(MULTIGATING, wildcards).split_files(
            MULTIGATING.cell(wildcards)
        ),
    output:
        **several_run_files(
            "results/versions/{{version}}/multigating/{{system}}/{corpus}/{{variant}}",
            corpus=MULTIGATING.joint_corpora(),
        ),
    log:
        "results/logs/train_multigating_joint_version/{version}/{system}/{variant}.log",
    benchmark:
        "results/benchmarks/train_multigating_joint_version/{version}/{system}/{variant}.tsv"
    wildcard_constraints:
        version=version_names(MULTIGATING),
        system="|".join(MULTIGATING.systems("all")),
        variant=r"[a-z0-9._-]+",
    params:
        options=params_of_version(MULTIGATING)["options"],
    message:
        "Train {wildcards.system} on {params.corpora}, {wildcards.variant}, version {wildcards.version}"


use rule train_multigating as train_multigating_version with:
    input:
        unpack(lambda wildcards: cell_stores(MULTIGATING, wildcards)),
        utterances=lambda wildcards: utterance_tables(
            MULTIGATING.corpora_of(MULTIGATING.cell(wildcards))
        ),
        splits=lambda wildcards: in_version(MULTIGATING, wildcards).split_files(
            MULTIGATING.cell(wildcards)
        ),
    output:
        **run_files(
            "results/versions/{version}/multigating/{system}/{corpus}/{variant}",
            "embeddings.parquet",
        ),
    log:
        "results/logs/train_multigating_version/{version}/{system}/{corpus}/{variant}.log",
    benchmark:
        "results/benchmarks/train_multigating_version/{version}/{system}/{corpus}/{variant}.tsv"
    wildcard_constraints:
        version=version_names(MULTIGATING),
        system="|".join(MULTIGATING.systems("one")),
        corpus="|".join(MULTIGATING.corpora()),
        variant=r"[a-z0-9._-]+",
    params:
        options=params_of_version(MULTIGATING)["options"],
    message:
        "Train {wildcards.system} on {params.corpora}, {wildcards.variant}, version {wildcards.version}"


rule tabulate_multigating_corpora:
    """Table 1: the corpora, counted."""
    input:
        utterances=utterance_tables(MULTIGATING.corpora()),
    output:
        csv="results/multigating/table1.csv",
        comparison="results/multigating/table1_vs_paper.csv",
    log:
        "results/logs/tabulate_multigating_corpora.log",
    localrule: True
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(15),
    params:
        inputs=named_inputs,
        facts=as_is(as_json(MULTIGATING.table1_facts())),
        published=published(MULTIGATING),
        code=code_of("stages.tabulate_words", "studies.multigating.corpora"),
    message:
        "Count the corpora of the multilingual paper"
    shell:
        "python -m serflow.stages.tabulate_words --study multigating --module corpora --table table1"
        " --inputs {params.inputs} --facts {params.facts:q} --code {params.code} --csv {output.csv}"
        " --comparison {output.comparison} --log {log}"


rule plot_multigating_figure3:
    """Figure 3: what the tower of a language reads, with a weaker and a stronger contrastive loss."""
    input:
        embeddings=files_of_cells(
            MULTIGATING, "embeddings.parquet", MULTIGATING.pictured()
        ),
        predictions=files_of_cells(
            MULTIGATING, "predictions.parquet", MULTIGATING.pictured()
        ),
    output:
        figure=report(
            "results/multigating/figure3.svg",
            caption="../report/multigating_figure3.rst",
            category=MULTIGATING.title,
            labels={"what": "Figure 3", "beside the paper": "no"},
        ),
        csv="results/multigating/figure3.csv",
    log:
        "results/logs/plot_multigating_figure3.log",
    localrule: True
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(15),
    params:
        inputs=named_inputs,
        facts=as_is(as_json(MULTIGATING.figure3_facts())),
        code=code_of("stages.plot_figure", "studies.multigating.figure3"),
    message:
        "Draw Figure 3 of the multilingual paper"
    shell:
        "python -m serflow.stages.plot_figure --study multigating --figure figure3 --inputs {params.inputs}"
        " --facts {params.facts:q} --code {params.code} --svg {output.figure} --csv {output.csv} --log {log}"


rule plot_multigating_figure4:
    """Figure 4: what each feature alone can do, and how gates weigh it."""
    input:
        cells=cell_files(MULTIGATING, "metrics.json", "features"),
        predictions=files_of_cells(
            MULTIGATING, "predictions.parquet", MULTIGATING.gated()
        ),
    output:
        figure=report(
            "results/multigating/figure4.svg",
            caption="../report/multigating_figure4.rst",
            category=MULTIGATING.title,
            labels={"what": "Figure 4", "beside the paper": "no"},
        ),
        csv="results/multigating/figure4.csv",
    log:
        "results/logs/plot_multigating_figure4.log",
    localrule: True
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(15),
    params:
        inputs=named_inputs,
        facts=as_is(as_json(MULTIGATING.figure4_facts())),
        code=code_of("stages.plot_figure", "studies.multigating.figure4"),
    message:
        "Draw Figure 4 of the multilingual paper"
    shell:
        "python -m serflow.stages.plot_figure --study multigating --figure figure4 --inputs {params.inputs}"
        " --facts {params.facts:q} --code {params.code} --svg {output.figure} --csv {output.csv} --log {log}"


if MULTIGATING.searched():

    rule plot_multigating_gates:
        """The architecture that is found for each language, as numbers and as a picture."""
        input:
            predictions=files_of_cells(
                MULTIGATING, "predictions.parquet", MULTIGATING.searched()
            ),
            models=files_of_cells(
                MULTIGATING, "model.safetensors", MULTIGATING.searched()
            ),
        output:
            figure=report(
                "results/multigating/gates.svg",
                caption="../report/multigating_gates.rst",
                category=MULTIGATING.title,
                labels={"what": "Architectures", "beside the paper": "no"},
            ),
            csv="results/multigating/gates.csv",
        log:
            "results/logs/plot_multigating_gates.log",
        localrule: True
        conda:
            "../../envs/serflow.yaml"
        threads: 1
        resources:
            mem_mb=memory(1000),
            runtime=minutes(15),
        params:
            inputs=named_inputs,
            facts=as_is(as_json(MULTIGATING.gates_facts())),
            code=code_of("stages.plot_figure", "studies.multigating.gates"),
        message:
            "Draw the architectures of the multilingual paper"
        shell:
            "python -m serflow.stages.plot_figure --study multigating --figure gates --inputs {params.inputs}"
            " --facts {params.facts:q} --code {params.code} --svg {output.figure} --csv {output.csv} --log {log}"


rule multigating:
    """All tables and figures of the multilingual paper."""
    input:
        MULTIGATING.targets(),
