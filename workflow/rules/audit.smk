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
