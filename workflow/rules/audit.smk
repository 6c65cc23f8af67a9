# What a score may owe to what it should not know: fingerprints of audio, and what the sets of each fit share.


rule fingerprint_audio:
    """Fingerprint the prepared audio of a corpus, to find the same recording again in whatever form."""
    input:
        audio=audio_shards,
    output:
        fingerprints="results/audit/fingerprints/{corpus}.parquet",
    log:
        "results/logs/fingerprint_audio/{corpus}.log",
    benchmark:
        "results/benchmarks/fingerprint_audio/{corpus}.tsv"
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(30),
    params:
        code=code_of("stages.fingerprint_audio"),
    message:
        "Fingerprint the audio of {wildcards.corpus}"
    shell:
        "python -m serflow.stages.fingerprint_audio --corpus {wildcards.corpus} --audio {input.audio}"
        " --code {params.code} --fingerprints {output.fingerprints} --log {log}"


rule find_near_duplicates:
    """Find utterances of a corpus that are the same recording."""
    input:
        fingerprints="results/audit/fingerprints/{corpus}.parquet",
    output:
        pairs="results/audit/near_duplicates/{corpus}.csv",
    log:
        "results/logs/find_near_duplicates/{corpus}.log",
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=minutes(15),
    params:
        code=code_of("stages.find_near_duplicates"),
    message:
        "Find near-identical utterances of {wildcards.corpus}"
    shell:
        "python -m serflow.stages.find_near_duplicates --fingerprints {input.fingerprints} --code {params.code}"
        " --pairs {output.pairs} --log {log}"


for study in STUDIES.values():

    rule:
        name:
            f"audit_{study.name}"
        input:
            **audited(study),
        output:
            audit=f"results/audit/{study.name}.csv",
            summary=report(
                f"results/audit/{study.name}.md",
                caption="../report/audit.rst",
                category=study.title,
                labels={"what": "Audit", "beside the paper": "no"},
            ),
        log:
            f"results/logs/audit_{study.name}.log",
        localrule: True
        conda:
            "../../envs/serflow.yaml"
        threads: 1
        resources:
            mem_mb=memory(1500),
            runtime=minutes(30),
        params:
            study=study.name,
            title=option("title", study.title),
            titles=as_is(json.dumps(titles(study))),
            exposures=exposures_options(study),
            given=lambda wildcards, input: several_options(input),
            code=code_of("stages.audit_study", f"studies.{study.name}.members"),
        message:
            f"Audit the fits of the {study.title} paper"
        shell:
            "python -m serflow.stages.audit_study --study {params.study} {params.title:q} --titles {params.titles:q}"
            " {params.exposures} {params.given} --code {params.code} --audit {output.audit} --summary {output.summary}"
            " --log {log}"


rule audit:
    """What training, validation and test share in every fit of the studies that are asked for."""
    input:
        expand("results/audit/{study}.csv", study=CONFIG.reported()),
