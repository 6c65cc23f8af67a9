# Audio for training: the prepared audio of a corpus as one memory-mapped array.


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
        code=code("stages.pack_audio"),
    message:
        "Pack the audio of {wildcards.corpus}"
    shell:
        "python -m serflow.stages.pack_audio --shards {input.shards} --array {output.array}"
        " --index {output.index} --log {log}"
