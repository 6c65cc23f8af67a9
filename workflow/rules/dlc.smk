# The DLC paper (Wilf and Mower Provost, 2021): noise classifier and emotion methods in two experiments -> Table I.
DLC = STUDIES["dlc"]
DLC_CELL = "results/runs/dlc/{experiment}/{method}/{corpus}/{profile}"


def dlc_gate(wildcards):
    """Methods with experts are routed at test time by the noise classifier of the same cell."""
    gate = DLC.gate(wildcards)
    return [] if gate is None else cell_file(DLC, gate, "predictions.parquet")


def dlc_text(wildcards):
    """Multimodal methods read what was recognised in the noisy audio."""
    feature = DLC.text_feature(wildcards)
    if feature is None:
        return {}
    packed = f"results/packed/{feature}/{wildcards.corpus}/{wildcards.profile}"
    return {"text": f"{packed}.parquet", "text_array": f"{packed}.npy"}


def dlc_transcripts():
    """The recogniser's error rates are made beside Table I where a method of it reads."""
    asr = DLC.transcripts()
    return [] if asr is None else f"results/transcripts/{asr}/wer.csv"


def dlc_modules():
    """Method modules, which tables ask for titles."""
    return [f"studies.dlc.methods.{name}" for name in DLC.settings.trained_methods()]


def dlc_corpora():
    return [
        {
            "name": corpus,
            "title": CONFIG.title(corpus),
            "synthetic": CONFIG.is_synthetic(corpus),
            "departures": DLC.departures(corpus),
        }
        for corpus in DLC.corpora()
    ]


def dlc_label(corpus):
    """The corpus's name in a figure."""
    mark = " (synthetic)" if CONFIG.is_synthetic(corpus) else ""
    return CONFIG.title(corpus) + mark


rule train_dlc:
    """Train and test one method on one corpus in one noise profile: all seeds, all held-out conditions."""
    input:
        unpack(dlc_text),
        utterances="results/corpora/{corpus}/utterances.parquet",
        split=f"results/splits/{{corpus}}/{DLC.settings.split}.parquet",
        plan="results/noise/{corpus}/{profile}.parquet",
        clean=f"results/packed/{DLC.settings.feature}/{{corpus}}/clean.parquet",
        clean_array=f"results/packed/{DLC.settings.feature}/{{corpus}}/clean.npy",
        noisy=f"results/packed/{DLC.settings.feature}/{{corpus}}/{{profile}}.parquet",
        noisy_array=f"results/packed/{DLC.settings.feature}/{{corpus}}/{{profile}}.npy",
        gate=dlc_gate,
    output:
        predictions=f"{DLC_CELL}/predictions.parquet",
        history=f"{DLC_CELL}/history.parquet",
        metrics=f"{DLC_CELL}/metrics.json",
        model=f"{DLC_CELL}/model.safetensors",
    log:
        "results/logs/train_dlc/{experiment}/{method}/{corpus}/{profile}.log",
    benchmark:
        "results/benchmarks/train_dlc/{experiment}/{method}/{corpus}/{profile}.tsv"
    wildcard_constraints:
        method="(?!noise_classifier)[a-z][a-z0-9_]*",
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(240),
        gpu=int(wants_gpu(DLC.settings.training.device)),
    params:
        seeds=lambda wildcards: DLC.runs(wildcards.corpus),
        options=lambda wildcards: as_json(DLC.options(wildcards)),
        gate=lambda wildcards, input: f"--gate {input.gate}" if input.gate else "",
        text=lambda wildcards, input: (
            f"--text {input.text}" if "text" in input.keys() else ""
        ),
        code=lambda wildcards: code("stages.train_dlc", *DLC.modules(wildcards)),
    message:
        "Train {wildcards.method} on {wildcards.corpus} in profile {wildcards.profile}, {wildcards.experiment}, seeds {params.seeds}"
    shell:
        "python -m serflow.stages.train_dlc --experiment {wildcards.experiment} --method {wildcards.method}"
        " --corpus {wildcards.corpus} --profile {wildcards.profile} --utterances {input.utterances}"
        " --split {input.split} --plan {input.plan} --clean {input.clean} --noisy {input.noisy} {params.gate} {params.text}"
        " --seeds {params.seeds} --options {params.options:q} --code {params.code}"
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
        "Train the noise classifier of {wildcards.corpus} in profile {wildcards.profile}, {wildcards.experiment}, seeds {params.seeds}"


rule tabulate_dlc:
    """Table I in the paper's shape, beside the paper's own numbers, and the noise classifier's accuracy."""
    input:
        cells=cell_files(DLC, "metrics.json", "table1"),
        noise_cells=cell_files(DLC, "metrics.json", "noise_classifier"),
        utterances=expand(
            "results/corpora/{corpus}/utterances.parquet", corpus=DLC.corpora()
        ),
        clips="results/noise/clips.parquet",
    output:
        table=report(
            "results/dlc/table1.csv",
            caption="../report/table1.rst",
            category="DLC",
            labels={"what": "Table I", "beside the paper": "no"},
        ),
        comparison=report(
            "results/dlc/table1_vs_paper.csv",
            caption="../report/table1_vs_paper.rst",
            category="DLC",
            labels={"what": "Table I", "beside the paper": "yes"},
        ),
        noise=report(
            "results/dlc/noise_classifier.csv",
            caption="../report/noise_classifier.rst",
            category="DLC",
            labels={"what": "Noise classifier", "beside the paper": "yes"},
        ),
    log:
        "results/logs/tabulate_dlc.log",
    localrule: True
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(15),
    params:
        corpora=as_json(dlc_corpora()),
        profiles=DLC.settings.profiles,
        methods=DLC.settings.trained_methods(),
        without_turns=[name for name in DLC.corpora() if not CONFIG.has_turns(name)],
        controls=lambda wildcards: (
            f"--controls {' '.join(DLC.settings.controls)}"
            if DLC.settings.controls
            else ""
        ),
        published=published(DLC),
        code=code("stages.tabulate_dlc", *dlc_modules()),
    message:
        "Make Table I of the DLC paper and its comparison"
    shell:
        "python -m serflow.stages.tabulate_dlc --cells {input.cells} --noise-cells {input.noise_cells}"
        " --utterances {input.utterances} --clips {input.clips} --corpora {params.corpora:q} --profiles {params.profiles}"
        " --methods {params.methods} {params.controls} --without-turns {params.without_turns} --code {params.code} --table {output.table}"
        " --comparison {output.comparison} --noise {output.noise} --log {log}"


rule plot_dlc_curves:
    """Training curves of every cell of Table I."""
    input:
        histories=cell_files(DLC, "history.parquet", "table1"),
    output:
        figure=report(
            "results/dlc/curves.svg",
            caption="../report/curves.rst",
            category="DLC",
            labels={"what": "Training curves", "beside the paper": "no"},
        ),
    log:
        "results/logs/plot_dlc_curves.log",
    localrule: True
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(15),
    params:
        titles=as_json({corpus: dlc_label(corpus) for corpus in DLC.corpora()}),
        code=code("stages.plot_dlc_curves"),
    message:
        "Draw the training curves of Table I"
    shell:
        "python -m serflow.stages.plot_dlc_curves --histories {input.histories} --titles {params.titles:q}"
        " --figure {output.figure} --log {log}"


rule tabulate_dlc_intervals:
    """Table I with confidence intervals clustered by dialogue, and paired differences to the baselines."""
    input:
        predictions=cell_files(DLC, "predictions.parquet", "table1"),
        utterances=expand(
            "results/corpora/{corpus}/utterances.parquet", corpus=DLC.corpora()
        ),
    output:
        intervals=report(
            "results/dlc/table1_intervals.csv",
            caption="../report/intervals.rst",
            category="DLC",
            labels={"what": "Confidence intervals", "beside the paper": "no"},
        ),
    log:
        "results/logs/tabulate_dlc_intervals.log",
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        split=DLC.settings.split,
        code=code("stages.tabulate_dlc_intervals", *dlc_modules()),
    message:
        "Compute confidence intervals of Table I, clustered by {params.split}"
    shell:
        "python -m serflow.stages.tabulate_dlc_intervals --predictions {input.predictions}"
        " --utterances {input.utterances} --split {params.split} --code {params.code}"
        " --intervals {output.intervals} --log {log}"


rule plot_dlc_figure4:
    """Figure 4: gains over the baselines, mean and standard deviation over noise profiles."""
    input:
        cells=cell_files(DLC, "metrics.json", "table1"),
        utterances=expand(
            "results/corpora/{corpus}/utterances.parquet", corpus=DLC.corpora()
        ),
        clips="results/noise/clips.parquet",
    output:
        figure=report(
            "results/dlc/figure4.svg",
            caption="../report/figure4.rst",
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
        corpora=as_json(dlc_corpora()),
        profiles=DLC.settings.profiles,
        methods=DLC.settings.trained_methods(),
        published=published(DLC),
        code=code("stages.plot_dlc_figure4", *dlc_modules()),
    message:
        "Draw Figure 4 of the DLC paper"
    shell:
        "python -m serflow.stages.plot_dlc_figure4 --cells {input.cells} --utterances {input.utterances}"
        " --clips {input.clips} --corpora {params.corpora:q} --profiles {params.profiles}"
        " --methods {params.methods} --code {params.code} --figure {output.figure} --csv {output.csv} --log {log}"


rule describe_dlc_protocol:
    """The protocol card: classes, splits, and what training and test share."""
    input:
        utterances=expand(
            "results/corpora/{corpus}/utterances.parquet", corpus=DLC.corpora()
        ),
        splits=expand(
            "results/splits/{corpus}/{protocol}.parquet",
            corpus=DLC.corpora(),
            protocol=DLC.settings.split,
        ),
        plans=expand(
            "results/noise/{corpus}/{profile}.parquet",
            corpus=DLC.corpora(),
            profile=DLC.settings.profiles,
        ),
        clips="results/noise/clips.parquet",
    output:
        table="results/dlc/protocol.csv",
        card=report(
            "results/dlc/protocol.md",
            caption="../report/protocol.rst",
            category="DLC",
            labels={"what": "Protocol", "beside the paper": "no"},
        ),
    log:
        "results/logs/describe_dlc_protocol.log",
    localrule: True
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(15),
    params:
        corpora=as_json(dlc_corpora()),
        labels=DLC.settings.iemocap_labels,
        settings=json.dumps(DLC.protocol()),
        code=code("stages.describe_dlc_protocol"),
    message:
        "Write the protocol card of Table I"
    shell:
        "python -m serflow.stages.describe_dlc_protocol --utterances {input.utterances} --splits {input.splits}"
        " --plans {input.plans} --clips {input.clips} --corpora {params.corpora:q} --labels {params.labels}"
        " --settings {params.settings:q} --code {params.code} --table {output.table} --card {output.card} --log {log}"


rule make_table1:
    """The headline target: a copy of the DLC paper's Table I, once its comparison and curves are there too."""
    input:
        table="results/dlc/table1.csv",
        comparison="results/dlc/table1_vs_paper.csv",
        noise="results/dlc/noise_classifier.csv",
        curves="results/dlc/curves.svg",
        intervals="results/dlc/table1_intervals.csv",
        figure4="results/dlc/figure4.svg",
        protocol="results/dlc/protocol.md",
        wer=dlc_transcripts(),
    output:
        table=report(
            "results/table1.csv",
            caption="../report/table1.rst",
            category="Tables",
            labels={"what": "Table I (DLC)", "beside the paper": "no"},
        ),
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
        "cp {input.table} {output.table} 2> {log}"


rule pilot_dlc:
    """Train Single for twenty epochs with one optimiser, to see whether it learns at the paper's rate."""
    input:
        utterances="results/corpora/{corpus}/utterances.parquet",
        split=f"results/splits/{{corpus}}/{DLC.settings.split}.parquet",
        plan="results/noise/{corpus}/h1.parquet",
        clean=f"results/packed/{DLC.settings.feature}/{{corpus}}/clean.parquet",
        clean_array=f"results/packed/{DLC.settings.feature}/{{corpus}}/clean.npy",
        noisy=f"results/packed/{DLC.settings.feature}/{{corpus}}/h1.parquet",
        noisy_array=f"results/packed/{DLC.settings.feature}/{{corpus}}/h1.npy",
    output:
        predictions="results/dlc/pilot/{corpus}/{optimizer}/predictions.parquet",
        history="results/dlc/pilot/{corpus}/{optimizer}/history.parquet",
        metrics="results/dlc/pilot/{corpus}/{optimizer}/metrics.json",
        model="results/dlc/pilot/{corpus}/{optimizer}/model.safetensors",
    log:
        "results/logs/pilot_dlc/{corpus}/{optimizer}.log",
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(60),
        gpu=int(wants_gpu(DLC.settings.training.device)),
    params:
        seeds=lambda wildcards: DLC.runs(wildcards.corpus),
        options=lambda wildcards: as_json(
            DLC.pilot_options(wildcards.corpus, wildcards.optimizer)
        ),
        code=code("stages.train_dlc", "studies.dlc.methods.single"),
    message:
        "Pilot: train single with {wildcards.optimizer} on {wildcards.corpus}"
    shell:
        "python -m serflow.stages.train_dlc --experiment exp1 --method single"
        " --corpus {wildcards.corpus} --profile h1 --utterances {input.utterances}"
        " --split {input.split} --plan {input.plan} --clean {input.clean} --noisy {input.noisy}"
        " --seeds {params.seeds} --options {params.options:q} --code {params.code}"
        " --predictions {output.predictions} --history {output.history} --metrics {output.metrics}"
        " --model {output.model} --log {log}"


rule plot_dlc_pilot:
    """Draw the pilot: training UA by epoch with the paper's optimiser and with Adam."""
    input:
        adadelta="results/dlc/pilot/{corpus}/adadelta/history.parquet",
        adam="results/dlc/pilot/{corpus}/adam/history.parquet",
        metrics="results/dlc/pilot/{corpus}/adam/metrics.json",
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
        title=lambda wildcards: f"{dlc_label(wildcards.corpus)}, h1",
        code=code("stages.plot_dlc_pilot"),
    message:
        "Draw the pilot on {wildcards.corpus}"
    shell:
        "python -m serflow.stages.plot_dlc_pilot --histories adadelta={input.adadelta} adam={input.adam}"
        " --chance {input.metrics} --title {params.title:q} --figure {output.figure} --csv {output.csv}"
        " --log {log}"
