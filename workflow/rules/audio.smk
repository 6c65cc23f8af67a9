# Audio for training: the prepared audio of a corpus as one memory-mapped array, and where its pitch pulses are.


rule pack_audio:
    """Pack the prepared audio of a corpus into one memory-mapped array of 16-bit samples."""
    input:
        shards=audio_shards,
    output:
        array="results/packed/audio/{corpus}.npy",
        index="results/packed/audio/{corpus}.parquet",
    log:
        "results/logs/pack_audio/{corpus}.log",
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(30),
    params:
        code=code_of("stages.pack_audio"),
    message:
        "Pack the audio of {wildcards.corpus}"
    shell:
        "python -m serflow.stages.pack_audio --shards {input.shards} --array {output.array}"
        " --index {output.index} --log {log}"


rule find_pulses:
    """Find the pitch pulses of a shard with Praat, for studies that cut them with the waveform."""
    input:
        audio="results/audio/{corpus}/{shard}.parquet",
    output:
        pulses="results/pulses/{corpus}/{shard}.parquet",
    log:
        "results/logs/find_pulses/{corpus}/{shard}.log",
    benchmark:
        "results/benchmarks/find_pulses/{corpus}/{shard}.tsv"
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=minutes(60),
    params:
        parameters=as_json(pulse_parameters()),
        code=code_of("stages.find_pulses"),
    message:
        "Find the pitch pulses of {wildcards.corpus}, shard {wildcards.shard}"
    shell:
        "python -m serflow.stages.find_pulses --audio {input.audio} --parameters {params.parameters:q}"
        " --code {params.code} --pulses {output.pulses} --log {log}"
