# The speaker-normalisation paper (Ha): wav2vec 2.0 with heads of emotion, words and speaker -> Tables 1 to 3, Figures 2 and 3.
SPEAKERNORM = STUDIES["speakernorm"]


rule train_speakernorm:
    """Train and test one case on one corpus, by one kind of folds."""
    input:
        utterances="results/corpora/{corpus}/utterances.parquet",
        split="results/splits/{corpus}/{folds}.parquet",
        audio="results/packed/audio/{corpus}.parquet",
        audio_array="results/packed/audio/{corpus}.npy",
        weights="resources/weights/wav2vec2.json",
    output:
        **run_files("results/runs/speakernorm/{case}/{corpus}/{folds}"),
    log:
        "results/logs/train_speakernorm/{case}/{corpus}/{folds}.log",
    benchmark:
        "results/benchmarks/train_speakernorm/{case}/{corpus}/{folds}.tsv"
    wildcard_constraints:
        case=r"baseline|(?:reverse|forward)-[0-9.e+-]+",
        folds=r"[a-z]+_fold",
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        **on_device(SPEAKERNORM.settings.training.device),
        mem_mb=memory(8000),
        runtime=minutes(
            lambda wildcards: SPEAKERNORM.minutes(SPEAKERNORM.cell(wildcards))
        ),
    params:
        cell=named_wildcards,
        inputs=named_inputs,
        runs=lambda wildcards: SPEAKERNORM.runs(wildcards.corpus),
        options=lambda wildcards: as_json(
            SPEAKERNORM.options(SPEAKERNORM.cell(wildcards))
        ),
        code=lambda wildcards: train_code(SPEAKERNORM, SPEAKERNORM.cell(wildcards)),
    message:
        "Train {wildcards.case} on {wildcards.corpus}, {wildcards.folds}, runs {params.runs}"
    shell:
        "python -m serflow.stages.train --study speakernorm --cell {params.cell} --inputs {params.inputs}"
        " --runs {params.runs} --options {params.options:q} --code {params.code}"
        " --predictions {output.predictions} --history {output.history} --metrics {output.metrics}"
        " --model {output.model} --log {log}"


rule list_speakernorm_hyperparameters:
    """Table 1: the hyper-parameters of the runs, as they kept them."""
    input:
        predictions=cell_files(SPEAKERNORM, "predictions.parquet", None),
        histories=cell_files(SPEAKERNORM, "history.parquet", None),
        audio=expand(
            "results/packed/audio/{corpus}.parquet", corpus=SPEAKERNORM.corpora()
        ),
    output:
        csv="results/speakernorm/table1.csv",
        comparison="results/speakernorm/table1_vs_paper.csv",
    log:
        "results/logs/list_speakernorm_hyperparameters.log",
    localrule: True
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(15),
    params:
        inputs=named_inputs,
        published=published(SPEAKERNORM),
        code=code_of("stages.tabulate_words", "studies.speakernorm.hyperparameters"),
    message:
        "List the hyper-parameters of the speaker-normalisation paper's runs"
    shell:
        "python -m serflow.stages.tabulate_words --study speakernorm --module hyperparameters --table table1"
        " --inputs {params.inputs} --facts {{}} --code {params.code} --csv {output.csv} --comparison {output.comparison}"
        " --log {log}"


for number in (2, 3):

    rule:
        name:
            f"plot_speakernorm_figure{number}"
        input:
            histories=cell_files(SPEAKERNORM, "history.parquet", f"figure{number}"),
        output:
            figure=report(
                f"results/speakernorm/figure{number}.svg",
                caption=f"../report/speakernorm_figure{number}.rst",
                category=SPEAKERNORM.title,
                labels={"what": f"Figure {number}", "beside the paper": "no"},
            ),
            csv=f"results/speakernorm/figure{number}.csv",
        log:
            f"results/logs/plot_speakernorm_figure{number}.log",
        localrule: True
        conda:
            "../../envs/serflow.yaml"
        threads: 1
        resources:
            mem_mb=memory(1000),
            runtime=minutes(15),
        params:
            inputs=named_inputs,
            facts=as_is(json.dumps(SPEAKERNORM.figure(f"figure{number}"))),
            code=code_of("stages.plot_figure", "studies.speakernorm.evaluations"),
        message:
            f"Draw Figure {number} of the speaker-normalisation paper"
        shell:
            "python -m serflow.stages.plot_figure --study speakernorm --figure evaluations --inputs {params.inputs}"
            " --facts {params.facts:q} --code {params.code} --svg {output.figure} --csv {output.csv} --log {log}"


rule speakernorm:
    """All tables and figures of the speaker-normalisation paper."""
    input:
        SPEAKERNORM.targets(),
